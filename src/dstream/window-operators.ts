/** Windows, as the nodes of the graph that they are made of.
 *
 * `window` is one node. The others are three: an operator on each batch, the window over its
 * results, and an operator on what the window holds. So each batch is reduced once, and a window
 * looks at what was made of its batches and not at their records again. The last one has the id
 * that the author sees, `<operator>-<n>`; the others have it with `.batch` and `.window` behind.
 *
 *      reduceByKeyAndWindow-0.batch ─► reduceByKeyAndWindow-0.window ─► reduceByKeyAndWindow-0
 *
 * With an inverse function a window is one node that keeps a value for each key and reads only
 * what leaves and what enters (window-change.ts, docs/decisions/0013-windows-with-an-inverse.md).
 * That of `reduceByWindow` has all records under one key.
 * @module */
import { parseDuration } from '../core/duration.ts';
import type { Duration } from '../core/duration.ts';
import { WINDOW_SUFFIX } from './graph-builder.ts';
import type { GraphBuilder, NodeRequest } from './graph-builder.ts';
import type { KindOf, NodeOptions } from './graph.ts';
import { OptionCheck } from './option-check.ts';
import { checkFunctions, checkOperator, checkShuffle } from './operator-options.ts';
import type { OperatorOptions, ShuffleOptions } from './operator-options.ts';

/** How a window is given: its length, and how often there is one; by default with every batch of
 * its parent. */
export interface WindowSpan {
  readonly length: Duration;
  readonly slide: Duration | undefined;
}

/** A shuffle without what says where it stands. */
type Step = Pick<NodeRequest, 'fn' | 'fns'> & { readonly kind: KindOf<'shuffle'> };

interface PanedOperator {
  readonly name: string;
  readonly parent: string;
  readonly span: WindowSpan;
  readonly id: string | undefined;
  readonly options?: NodeOptions;
  /** What is made of each batch. */
  readonly batch: Step;
  /** What is made of the results of a window's batches. */
  readonly whole: Step;
}

/** @returns the id of the windowed stream. @throws {MillraceError} OPTIONS_INVALID. */
export function addWindow(
  builder: GraphBuilder,
  parent: string,
  { span, options }: { readonly span: WindowSpan; readonly options: OperatorOptions | undefined },
): string {
  const { id } = checkOperator('window', options);
  return builder.add({
    kind: 'window',
    parents: [parent],
    id,
    options: windowOptions('window', span),
  });
}

type Combine = (a: never, b: never) => unknown;

export interface InverseWindowOptions<K, V> extends ShuffleOptions {
  /** Keys for which it returns false leave the window for good; asked after each change of a key.
   * Without it a key stays when all of its values have left, with what the inverse function has
   * made of them: a sum of 0. It may let a key go only then. */
  readonly filter?: (pair: readonly [K, V]) => boolean;
}

/** What follows the function: perhaps an inverse one, and then the window. */
export type WindowArguments<V, O> =
  | [length: Duration, slide?: Duration | undefined, options?: O | undefined]
  | [
      inverse: (all: V, left: V) => V,
      length: Duration,
      slide?: Duration | undefined,
      options?: O | undefined,
    ];

/** Tells both forms of a call apart. */
export function windowCall<V, O>(parent: string, given: WindowArguments<V, O>): InvertibleCall<O> {
  const [first, ...others] = given;
  const inverse = typeof first === 'function' ? first : undefined;
  const [length, slide, options] = (inverse === undefined ? given : others) as [
    Duration,
    Duration?,
    O?,
  ];
  return { parent, span: { length, slide }, options, inverse };
}

/** With what takes away again what leaves the window, if anything does. */
interface InvertibleCall<O> extends Call<O> {
  readonly inverse: Combine | undefined;
}

/** What a window operator is called with. */
interface Call<O> {
  readonly parent: string;
  readonly span: WindowSpan;
  readonly options: O | undefined;
}

export function addReduceByWindow(
  builder: GraphBuilder,
  fn: Combine,
  { inverse, ...call }: InvertibleCall<OperatorOptions>,
): string {
  if (inverse !== undefined) return addInverseReduceByWindow(builder, { fn, inverse }, call);
  const { parent, span, options } = call;
  const name = 'reduceByWindow';
  const { id } = checkOperator(name, options, [fn]);
  const step: Step = { kind: 'reduce', fn };
  return addPaned(builder, { name, parent, span, id, batch: step, whole: step });
}

export function addCountByWindow(
  builder: GraphBuilder,
  { parent, span, options }: Call<OperatorOptions>,
): string {
  const name = 'countByWindow';
  const { id } = checkOperator(name, options);
  const batch: Step = { kind: 'count' };
  return addPaned(builder, { name, parent, span, id, batch, whole: { kind: 'reduce', fn: sum } });
}

export function addCountByValueAndWindow(
  builder: GraphBuilder,
  { parent, span, options }: Call<ShuffleOptions>,
): string {
  const name = 'countByValueAndWindow';
  const batch: Step = { kind: 'countByValue' };
  const whole: Step = { kind: 'reduceByKey', fn: sum };
  return addPaned(builder, { name, parent, span, ...checkShuffle(name, options), batch, whole });
}

export function addReduceByKeyAndWindow(
  builder: GraphBuilder,
  fn: Combine,
  { inverse, ...call }: InvertibleCall<InverseWindowOptions<never, never>>,
): string {
  if (inverse !== undefined) return addInverseReduceByKeyAndWindow(builder, { fn, inverse }, call);
  const { parent, span, options } = call;
  const name = 'reduceByKeyAndWindow';
  checkFunctions(name, { 'the function': fn });
  const step: Step = { kind: 'reduceByKey', fn };
  const checked = checkShuffle(name, options);
  return addPaned(builder, { name, parent, span, ...checked, batch: step, whole: step });
}

/** What takes away again what leaves the window. */
interface Inverse {
  readonly fn: Combine;
  readonly inverse: Combine;
}

function addInverseReduceByWindow(
  builder: GraphBuilder,
  { fn, inverse }: Inverse,
  { parent, span, options }: Call<OperatorOptions>,
): string {
  const name = 'reduceByWindow';
  const { id: given } = checkOperator(name, options, [fn, inverse]);
  const windowed = windowOptions(name, span);
  const id = builder.reserveId(name, given);
  const of = (suffix: string, parentId: string) => ({
    id: undefined,
    reservedId: `${id}${suffix}`,
    parents: [parentId],
  });
  const pairs = builder.add({ kind: 'map', ...of('.pairs', parent), fn: underOneKey });
  const window = builder.add({
    kind: 'reduceByKeyAndWindow',
    ...of(WINDOW_SUFFIX, pairs),
    options: { ...windowed, partitions: 1 },
    fn,
    fns: { inverse },
  });
  return builder.add({ kind: 'map', ...of('', window), fn: valueOf });
}

function addInverseReduceByKeyAndWindow(
  builder: GraphBuilder,
  { fn, inverse }: Inverse,
  { parent, span, options }: Call<InverseWindowOptions<never, never>>,
): string {
  const name = 'reduceByKeyAndWindow';
  const { filter, ...rest } = options ?? {};
  const given = { 'the function': fn, 'the inverse function': inverse };
  checkFunctions(name, filter === undefined ? given : { ...given, filter });
  const { id, options: checked } = checkShuffle(name, options === undefined ? undefined : rest);
  return builder.add({
    kind: name,
    parents: [parent],
    id,
    options: { ...windowOptions(name, span), ...checked },
    fn,
    fns: { inverse, ...(filter === undefined ? {} : { filter }) },
  });
}

export function addGroupByKeyAndWindow(
  builder: GraphBuilder,
  { parent, span, options }: Call<ShuffleOptions>,
): string {
  const name = 'groupByKeyAndWindow';
  const batch: Step = { kind: 'groupByKey' };
  const fns = { create: itself, mergeValue: append, mergeCombiners: append };
  const whole: Step = { kind: 'combineByKey', fns };
  return addPaned(builder, { name, parent, span, ...checkShuffle(name, options), batch, whole });
}

function addPaned(
  builder: GraphBuilder,
  { name, parent, span, id: given, options = {}, batch, whole }: PanedOperator,
): string {
  const windowed = windowOptions(name, span);
  const id = builder.reserveId(name, given);
  const of = (suffix: string, parentId: string) => ({
    id: undefined,
    reservedId: `${id}${suffix}`,
    parents: [parentId],
  });
  const each = builder.add({ ...batch, ...of('.batch', parent), options });
  const window = builder.add({ kind: 'window', ...of(WINDOW_SUFFIX, each), options: windowed });
  return builder.add({ ...whole, ...of('', window), options });
}

/** That they fit the parent's slide is checked when the batch interval is known: StreamTimes. */
function windowOptions(name: string, { length, slide }: WindowSpan): NodeOptions {
  const check = new OptionCheck(name);
  const windowMs = durationOf(check, 'the window', length);
  const slideMs = slide === undefined ? undefined : durationOf(check, 'the slide', slide);
  check.finish();
  return { windowMs, ...(slideMs === undefined ? {} : { slideMs }) };
}

/** Of `checkpoint`. @throws {MillraceError} OPTIONS_INVALID. */
export function checkpointMsOf(interval: Duration): number {
  const check = new OptionCheck('checkpoint');
  const ms = durationOf(check, 'the interval', interval);
  check.finish();
  return ms;
}

function durationOf(check: OptionCheck, name: string, given: Duration): number {
  let ms = 0;
  try {
    ms = parseDuration(given);
  } catch {
    // said below, with the operator's name
  }
  check.require(
    ms > 0,
    `${name} must be a duration above 0, such as '10s', not ${JSON.stringify(given)}`,
  );
  return ms;
}

/** The same key for all. */
function underOneKey(record: unknown): readonly [0, unknown] {
  return [0, record];
}

function valueOf([, value]: readonly [unknown, unknown]): unknown {
  return value;
}

function sum(a: number, b: number): number {
  return a + b;
}

function itself<T>(value: T): T {
  return value;
}

function append<T>(list: T[], more: readonly T[]): T[] {
  for (const value of more) list.push(value);
  return list;
}
