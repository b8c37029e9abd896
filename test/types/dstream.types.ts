/** What the public API lets compile, and what it does not. Checked by `npm run typecheck`, never
 * run.
 * @module */
import {
  Receiver,
  definePipeline,
  milliseconds,
  postgresSink,
  seconds,
  sqliteSink,
  stateSpec,
} from 'millrace';
import type {
  Batch,
  BatchTimeMs,
  DStream,
  PipelineContext,
  Sink,
  State,
  StatelessDStream,
} from 'millrace';

/** Compiles when `Actual` is exactly `Expected`. */
type Exactly<Actual, Expected> =
  (<X>() => X extends Actual ? 1 : 2) extends <X>() => X extends Expected ? 1 : 2 ? true : never;

function expectStream<Expected>() {
  return <Actual>(_stream: DStream<Actual>, _same: Exactly<Actual, Expected>): void => {};
}

class Ticks extends Receiver<{ readonly n: number }> {
  override onStart(): void {
    void this.store([{ n: 1 }], { position: 7 });
    // @ts-expect-error a record of another type
    void this.store('tick');
  }
  override async onStop(): Promise<void> {}
}

export const wordCount = definePipeline({ name: 'p', batchInterval: seconds(1) }, (ssc) => {
  const counts = ssc
    .httpTextStream({ port: 8080 })
    .flatMap((line) => line.split(' '))
    .mapToPair((word) => [word, 1])
    .reduceByKey((a, b) => a + b);
  expectStream<[string, number]>()(counts, true);
  counts.print();
  counts.saveAsTextFiles('out/counts');
});

export const options = [
  definePipeline({ name: 'p', blockInterval: milliseconds(50), memory: '64MiB' }, () => {}),
  // @ts-expect-error a pipeline has a name
  definePipeline({ batchInterval: 100 }, () => {}),
  // @ts-expect-error there is no such option
  definePipeline({ name: 'p', batchIntervall: 100 }, () => {}),
];

export function inputs(ssc: PipelineContext): void {
  expectStream<{ readonly n: number }>()(
    ssc.receiverStream(() => new Ticks()),
    true,
  );
  expectStream<string>()(ssc.httpTextStream({ port: [1, 2], receivers: 2 }), true);
  expectStream<string>()(ssc.socketTextStream('localhost', 99), true);
  expectStream<string>()(ssc.textFileStream('in'), true);
  expectStream<string>()(ssc.generatorStream({ total: 5 }), true);
  expectStream<string>()(ssc.queueStream([['a'], []]), true);
  expectStream<[string, number]>()(ssc.queueStream([[['a', 1]], []]), true);
  expectStream<string>()(ssc.union([ssc.generatorStream(), ssc.textFileStream('in')]), true);
  expectStream<[string, [number, string]]>()(
    ssc.transform(
      [ssc.queueStream([[['a', 1]]]), ssc.generatorStream().keyBy((line) => line)],
      ([counts, lines]) => counts.join(lines),
    ),
    true,
  );
  // @ts-expect-error a receiver is made by a function
  ssc.receiverStream(new Ticks());
  // @ts-expect-error a port is needed
  ssc.httpTextStream({});
}

export function results(words: DStream<string>, numbers: DStream<number>): void {
  expectStream<number>()(
    words.map((w) => w.length),
    true,
  );
  expectStream<{ w: string } | undefined>()(
    words.map((w) => (w === '' ? undefined : { w })),
    true,
  );
  expectStream<string>()(
    words.filter((w) => w !== ''),
    true,
  );
  expectStream<string>()(
    words.flatMap((w) => new Set(w)),
    true,
  );
  expectStream<string[]>()(words.glom(), true);
  expectStream<number>()(
    words.mapPartitions(() => [1]),
    true,
  );
  expectStream<number>()(words.count(), true);
  expectStream<[string, number]>()(words.countByValue({ partitions: 2, id: 'x' }), true);
  expectStream<number>()(
    numbers.reduce((a, b) => a + b),
    true,
  );
  expectStream<string>()(words.repartition(4, { id: 'x' }), true);

  const mixed = words.map((w): string | number => (w === '' ? 1 : w));
  expectStream<number>()(
    mixed.filter((x): x is number => typeof x === 'number'),
    true,
  );

  const left = words.mapToPair((w) => [w, 1]);
  const right = words.keyBy((w) => w).mapValues((w) => w.length > 1);
  expectStream<[string, number]>()(left, true);
  expectStream<[string, boolean]>()(right, true);
  expectStream<[string, string]>()(
    left.flatMapValues((n) => `${n}`),
    true,
  );
  expectStream<[string, number[]]>()(left.groupByKey(), true);
  expectStream<[string, [number, boolean]]>()(left.join(right), true);
  expectStream<[string, [number, boolean | undefined]]>()(left.leftOuterJoin(right), true);
  expectStream<[string, [number | undefined, boolean]]>()(left.rightOuterJoin(right), true);
  expectStream<[string, [number | undefined, boolean | undefined]]>()(
    left.fullOuterJoin(right),
    true,
  );
  expectStream<[string, [number[], boolean[]]]>()(left.cogroup(right, { partitions: 3 }), true);

  expectStream<[string, number[]]>()(
    left.combineByKey(
      (n) => [n],
      (list, n) => [...list, n],
      (a, b) => a.concat(b),
      { partitions: 2 },
    ),
    true,
  );
  expectStream<[string, { longest: number }]>()(
    left.aggregateByKey(
      { longest: 0 },
      (all, n) => ({ longest: Math.max(all.longest, n) }),
      (a, b) => (a.longest > b.longest ? a : b),
    ),
    true,
  );
  expectStream<string>()(words.persist(), true);
  expectStream<string>()(words.cache({ id: 'kept' }), true);
  expectStream<[string, number[]]>()(
    left.transform((pairs) => pairs.groupByKey()),
    true,
  );
  expectStream<[string, [number, boolean]]>()(
    left.transformWith(right, (l, r) => l.join(r)),
    true,
  );
  const plus = (a: number, b: number): number => a + b;
  // @ts-expect-error strings are no pairs
  words.combineByKey(() => 1, plus, plus);
  // @ts-expect-error the combiners are numbers
  left.combineByKey((n) => `${n}`, plus, plus);

  expectStream<string>()(words.window('2s', seconds(1), { id: 'w' }), true);
  expectStream<number>()(words.countByWindow('2s'), true);
  expectStream<[string, number]>()(
    words.countByValueAndWindow('2s', '1s', { partitions: 2 }),
    true,
  );
  expectStream<number>()(
    numbers.reduceByWindow((a, b) => a + b, '2s', '1s'),
    true,
  );
  expectStream<[string, number[]]>()(left.groupByKeyAndWindow('2s', '1s'), true);
  expectStream<[string, number]>()(
    left.reduceByKeyAndWindow((a, b) => a + b, '2s', '1s', { partitions: 3 }),
    true,
  );
  expectStream<[string, [number, boolean]]>()(left.window('2s').join(right.window('3s')), true);
  expectStream<number>()(
    numbers.reduceByWindow(plus, (a, b) => a - b, '2s', '1s'),
    true,
  );
  const slid = left.reduceByKeyAndWindow(plus, (a, b) => a - b, '2s', '1s', {
    filter: ([word, n]) => word.length > 0 && n > 0,
    partitions: 3,
  });
  expectStream<[string, number]>()(slid.checkpoint('5s'), true);
  left.reduceByKeyAndWindow(plus, plus, seconds(2), undefined, { id: 'x' }).print();
  // @ts-expect-error the inverse gives another type
  left.reduceByKeyAndWindow(plus, (a, b) => `${a - b}`, '2s');
  // @ts-expect-error asynchronous
  left.reduceByKeyAndWindow(plus, async (a, b) => a - b, '2s');
  // @ts-expect-error only a window with an inverse function has a filter
  left.reduceByKeyAndWindow(plus, '2s', '1s', { filter: () => true });
  // @ts-expect-error strings are no pairs
  words.reduceByKeyAndWindow(plus, plus, '2s');
  // @ts-expect-error a duration
  left.checkpoint();
  // @ts-expect-error no window
  words.window();
  // @ts-expect-error strings are no pairs
  words.groupByKeyAndWindow('2s');
  // @ts-expect-error asynchronous
  left.reduceByKeyAndWindow(async (a, b) => a + b, '2s');

  // A tuple that was made without mapToPair is a pair as well.
  const constant = words.map((w) => [w, 1] as const);
  expectStream<[string, number]>()(
    constant.mapValues((n): number => n),
    true,
  );

  // @ts-expect-error strings are no pairs
  words.reduceByKey((a, b) => a + b);
  // @ts-expect-error a plain map gives arrays, not pairs: mapToPair
  words.map((w) => [w, 1]).groupByKey();
  // @ts-expect-error the keys are of another type
  left.join(numbers.keyBy((n) => n));
  // @ts-expect-error the streams are of different types
  words.union(numbers);
  // @ts-expect-error the combiner gives another type
  left.reduceByKey((a, b) => `${a}${b}`);
}

export function promises(words: DStream<string>): void {
  const pairs = words.mapToPair((w) => [w, 1]);
  // @ts-expect-error asynchronous
  words.map(async (w) => w.length);
  // @ts-expect-error may be asynchronous
  words.map((w) => (w === '' ? 1 : Promise.resolve(2)));
  // @ts-expect-error asynchronous
  words.filter(async () => true);
  // @ts-expect-error asynchronous
  words.flatMap(async (w) => [w]);
  // @ts-expect-error asynchronous
  words.flatMap(async function* twice(w) {
    yield w;
  });
  // @ts-expect-error asynchronous
  words.mapPartitions(async (all) => all);
  // @ts-expect-error asynchronous
  words.mapToPair(async (w) => [w, 1]);
  // @ts-expect-error asynchronous
  words.keyBy(async (w) => w);
  // @ts-expect-error asynchronous
  words.reduce(async (a, b) => a + b);
  // @ts-expect-error asynchronous
  pairs.mapValues(async (n) => n);
  // @ts-expect-error asynchronous
  pairs.flatMapValues(async (n) => [n]);
  // @ts-expect-error asynchronous
  pairs.reduceByKey(async (a, b) => a + b);
  const later = async (a: number, b: number): Promise<number> => a + b;
  const plus = (a: number, b: number): number => a + b;
  // @ts-expect-error asynchronous
  pairs.combineByKey(async (n) => n, plus, plus);
  // @ts-expect-error asynchronous
  pairs.combineByKey((n) => n, later, plus);
  // @ts-expect-error asynchronous
  pairs.aggregateByKey(0, plus, later);
  // @ts-expect-error asynchronous
  words.transform(async (all) => all);

  // What is of unknown or any type cannot be told apart from a promise, and is let through.
  words.map((w): unknown => JSON.parse(w)).print();
  words.map((w) => JSON.parse(w)).print();
}

export function outputs(counts: DStream<[string, number]>): void {
  counts.print(20, { id: 'shown' });
  counts.saveAsJsonFiles('out/x', 'json', { id: 'files' });
  counts.foreachBatch(async (batch: Batch<[string, number]>, { batchTime }) => {
    const time: BatchTimeMs = batchTime;
    const records: [string, number][] = await batch.take(time > 0 ? 1 : 2);
    await batch.count();
    void records;
  });
  counts.foreachPartition(async (records, { batchTime, partition }) => {
    for (const [word, n] of records) void [word.length, n + partition + batchTime];
  });
  // @ts-expect-error outputs give no stream
  counts.print().map((x) => x);
}

export function state(ssc: PipelineContext): void {
  const pairs = ssc.queueStream([[['a', 1]]]);
  const sums = pairs.updateStateByKey(
    (values, sum: number | undefined) => values.length + (sum ?? 0),
  );
  expectStream<[string, number]>()(sums, true);
  const dropped = pairs.updateStateByKey((values, seen: Set<number> | undefined) =>
    values.length > 1 ? undefined : (seen ?? new Set(values)),
  );
  expectStream<[string, Set<number>]>()(dropped, true);
  const counts = pairs.mapWithState(
    (key, value, count: State<number>) => (count.exists() ? { key, value } : undefined),
    { timeout: '5s', initialState: new Map([['a', 1]]) },
  );
  expectStream<{ key: string; value: number | undefined }>()(counts, true);
  expectStream<[string, number]>()(counts.stateSnapshots(), true);
  const spec = stateSpec((_key: string, value: number | undefined, kept: State<Date>) => {
    kept.update(new Date(value ?? 0));
  });
  expectStream<[string, Date]>()(pairs.mapWithState(spec.timeout(1_000)).stateSnapshots(), true);
  // @ts-expect-error no function of the state may wait
  pairs.mapWithState(async (key) => key);
  // @ts-expect-error nor this one
  pairs.updateStateByKey(async (values) => values.length);
  // @ts-expect-error only pairs have a key
  ssc.queueStream(['a']).updateStateByKey((values) => values.length);
  // @ts-expect-error a specification for other keys
  ssc.queueStream([[[1, 1]]]).mapWithState(spec);
  // @ts-expect-error the initial state of another type
  pairs.mapWithState((key, _value, _count: State<number>) => key, { initialState: [['a', 'b']] });
}

/** In the function of `transform` there are stateless operators only, however far the chain goes. */
export function transforms(ssc: PipelineContext, words: DStream<string>): void {
  const pairs = words.mapToPair((w) => [w, 1]);
  expectStream<[string, [number, number | undefined]]>()(
    words.transform((all) => {
      const ones = all.filter((w) => w !== '').mapToPair((w) => [w, 1]);
      return ones.reduceByKey((a, b) => a + b).leftOuterJoin(pairs);
    }),
    true,
  );
  // What comes out is a stream of the pipeline again.
  words
    .transform((all) => all.union(words).persist())
    .window('2s')
    .print();
  words.transform((all) => all.transform((each) => each.repartition(2))).print();
  ssc.transform([words, pairs], ([all, ones]) => all.keyBy((w) => w).join(ones)).print();

  words.transform((all) => ssc.union([all, words, all])).print();
  // @ts-expect-error no window inside, of a union neither
  words.transform((all) => ssc.union([words, all]).window('2s'));
  // @ts-expect-error no output inside
  words.transform((all) => all.print());
  // @ts-expect-error no window inside
  words.transform((all) => all.window('2s'));
  // @ts-expect-error no window inside, of what an operator made of it neither
  words.transform((all) => all.map((w) => w.length).reduceByWindow((a, b) => a + b, '2s'));
  // @ts-expect-error no state inside
  pairs.transform((all) => all.updateStateByKey((ones) => ones.length));
  // @ts-expect-error no state inside
  words.transform((all) => all.dedupeBy((w) => w, { within: 1 }));
  // @ts-expect-error no state inside
  pairs.transform((all) => all.groupByKey().mapWithState((word) => word));
  // @ts-expect-error no window inside
  pairs.transform((all) => all.reduceByKeyAndWindow((a, b) => a + b, '2s'));
  // @ts-expect-error strings are no pairs, inside as outside
  words.transform((all) => all.groupByKey());
  // @ts-expect-error no window inside, of the other stream neither
  words.transformWith(pairs, (all, ones) => ones.window('2s'));
  // @ts-expect-error no window inside, of any of the streams
  ssc.transform([words, pairs], ([all, ones]) => ones.groupByKeyAndWindow('2s').keyBy(() => all));
  // @ts-expect-error not a stream
  words.transform((all) => [all]);
  const count = (all: DStream<string>): DStream<number> => all.count();
  // A function for whole streams may be used here, too; what it does is refused when it is built.
  expectStream<number>()(words.transform(count), true);
  const tidy = (all: StatelessDStream<string>): StatelessDStream<string> =>
    all.map((w) => w.trim());
  expectStream<string>()(words.transform(tidy), true);
}

export function dedupe(words: DStream<string>, pairs: DStream<[string, number]>): void {
  expectStream<string>()(
    words.dedupeBy((word) => word.length, { within: '10m', id: 'once', partitions: 4 }),
    true,
  );
  // What comes out is what went in: pairs are pairs.
  expectStream<[string, number]>()(
    pairs.dedupeBy(([word]) => word, { within: seconds(5) }).reduceByKey((a, b) => a + b),
    true,
  );
  // @ts-expect-error for how long
  words.dedupeBy((word) => word);
  // @ts-expect-error for how long
  words.dedupeBy((word) => word, { id: 'once' });
  // @ts-expect-error asynchronous
  words.dedupeBy(async (word) => word, { within: 1 });
  // @ts-expect-error the key of a word
  words.dedupeBy((word: number) => word, { within: 1 });
  // @ts-expect-error its state has no values to look at
  words.dedupeBy((word) => word, { within: 1 }).stateSnapshots();
}

declare const numberSink: Sink<number>;
declare const anySink: Sink<unknown>;

export function sinks(numbers: DStream<number>, mixed: DStream<number | string>): void {
  numbers.to(numberSink);
  mixed.to(anySink);
  // @ts-expect-error the sink takes numbers only
  mixed.to(numberSink);
  const table = sqliteSink({ file: 'out.db', table: 't', columns: { word: 'TEXT', n: 'REAL' } });
  mixed.mapToPair((record) => [String(record), 1]).to(table, { id: 'table' });
  mixed.map((record) => ({ word: String(record), n: undefined })).to(table);
  // @ts-expect-error a number is no row
  numbers.to(table);
  numbers.map((n) => [new Date(n)]).to(postgresSink({ url: '', table: 't', columns: { at: '' } }));
  // @ts-expect-error a Date is no value of SQLite
  numbers.map((n) => [new Date(n)]).to(table);
}
