/** A place where engines run inside the test's own process: pipeline modules, a checkpoint
 * directory and outputs below one temporary directory, and every context that was opened there.
 *
 * The engine comes from dist/ with real threads and a real disk. `foreachBatch` runs on the driver,
 * which here is the test: a pipeline hands records to it by `keep('name', stream)`.
 * `close` ends all runs and removes the directory. @module */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { toError } from '../../src/core/errors.ts';
import type { EngineEvent } from '../../src/core/events.ts';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import { readLines as readSavedLines } from './batch-output.ts';
import type { InternalOptions, RunOptions } from '../../src/driver/run-options.ts';
import type { StreamingContext } from '../../src/driver/stream-context.ts';

const CONTEXT = new URL('../../dist/driver/stream-context.js', import.meta.url).href;
const dist = (await import(CONTEXT)) as {
  readonly StreamingContext: typeof StreamingContext;
};

/** No wait of a test takes longer, on however slow a machine. */
const WAIT_LIMIT_MS = 200_000;
const ASK_MS = 20;
/** Enough for most tests, and quick to make. */
const SMALL: Partial<PipelineOptions> = {
  memory: '16MiB',
  receiverSegmentBytes: '4MiB',
  driverSegmentBytes: '1MiB',
  allowNetworkFileSystem: true, // whatever the temporary directory of this machine is on
};

/** What `keep` has handed over, in order. */
export interface Kept {
  readonly name: string;
  readonly batchTime: number;
  readonly records: readonly unknown[];
}

export interface PipelineText {
  /** Code before the definition: imports, classes. */
  readonly head?: string;
  readonly options?: Partial<PipelineOptions>;
  /** @defaultValue `pipeline.mjs` */
  readonly file?: string;
}

export interface StartOptions extends RunOptions, InternalOptions {
  /** @defaultValue the one that `pipeline` wrote last */
  readonly pipeline?: string;
  /** @defaultValue the site's own */
  readonly checkpointDir?: string | false;
}

type KeptBySite = Map<string, Kept[]>;
const everyone = globalThis as typeof globalThis & { millraceKept?: KeptBySite };

export class PipelineSite {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'millrace-site-'));
  readonly checkpointDir: string = join(this.directory, 'checkpoint');
  readonly kept: Kept[] = [];
  readonly #runs: PipelineRun[] = [];
  #pipeline = '';

  constructor() {
    everyone.millraceKept ??= new Map();
    everyone.millraceKept.set(this.directory, this.kept);
  }

  path(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  write(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  remove(name: string): void {
    rmSync(this.path(name), { recursive: true });
  }

  /** Lines of a file; none when there is no such file. */
  lines(name: string): string[] {
    const path = this.path(name);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  }

  /** All lines that `saveAsTextFiles(directory + '/' + prefix)` has written, batch after batch. */
  saved(prefix: string): string[] {
    return readSavedLines(this.path(prefix));
  }

  /** Writes code before all else into the module that `pipeline` wrote last. */
  prepend(code: string): void {
    writeFileSync(this.#pipeline, `${code}\n${readFileSync(this.#pipeline, 'utf8')}`);
  }

  /** Writes the module that later starts run. @param body of the function that builds; it sees
   * `ssc`, `keep(name, stream)` and `directory`. */
  pipeline(body: string, { head = '', options = {}, file = 'pipeline.mjs' }: PipelineText = {}) {
    const settings = { name: 'integration', batchInterval: 50, ...SMALL, ...options };
    const isTyped = file.endsWith('ts');
    this.#pipeline = this.write(
      file,
      `import { definePipeline, Receiver } from 'millrace';
${head}
const directory = ${JSON.stringify(this.directory)};
function keep(name${isTyped ? ': string' : ''}, stream${isTyped ? ': any' : ''}) {
  stream.foreachBatch(async (batch${isTyped ? ': any' : ''}, info${isTyped ? ': any' : ''}) => {
    const records = await batch.collect();
    globalThis.millraceKept.get(directory).push({ name, batchTime: info.batchTime, records });
  }, { id: name });
}
export default definePipeline(${JSON.stringify(settings)}, (ssc) => {
${body}
});
`,
    );
    return this.#pipeline;
  }

  /** Opens a context. What it throws is the test's to look at. */
  async open(options: StartOptions = {}): Promise<PipelineRun> {
    const { pipeline = this.#pipeline, checkpointDir = this.checkpointDir, ...run } = options;
    const opened = await PipelineRun.open(checkpointDir, pipeline, run);
    this.#runs.push(opened);
    return opened;
  }

  async start(options: StartOptions = {}): Promise<PipelineRun> {
    const run = await this.open(options);
    await run.context.start();
    return run;
  }

  /** Runs until the inputs have ended. */
  async finish(options: StartOptions = {}): Promise<PipelineRun> {
    const run = await this.start(options);
    await run.context.awaitTermination();
    return run;
  }

  /** All records that `keep(name, …)` has got, over all batches. A batch that came again after a
   * restart counts once; it must have been the same again, to the last record. */
  records(name: string): unknown[] {
    const batches = new Map<number, readonly unknown[]>();
    for (const each of this.kept) {
      if (each.name !== name) continue;
      const before = batches.get(each.batchTime) ?? each.records;
      expect(each.records, `batch ${each.batchTime}, run again`).toEqual(before);
      batches.set(each.batchTime, each.records);
    }
    return [...batches.values()].flat();
  }

  async close(): Promise<void> {
    // One that has failed says so again; the test has seen it.
    const stops = this.#runs.splice(0).map(({ context }) => context.stop({ graceful: false }));
    await Promise.allSettled(stops);
    everyone.millraceKept?.delete(this.directory);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

type EventOf<T extends EngineEvent['type']> = Extract<EngineEvent, { readonly type: T }>;

/** One context and what it said. */
export class PipelineRun {
  readonly context: StreamingContext;
  readonly events: readonly EngineEvent[];
  /** Lines of `print`. */
  readonly printed: readonly string[];

  private constructor(
    context: StreamingContext,
    heard: { readonly events: EngineEvent[]; readonly printed: string[] },
  ) {
    this.context = context;
    this.events = heard.events;
    this.printed = heard.printed;
  }

  static async open(
    checkpointDir: string | false,
    pipeline: string,
    options: RunOptions & InternalOptions,
  ): Promise<PipelineRun> {
    const heard = { events: [] as EngineEvent[], printed: [] as string[] };
    const context = await dist.StreamingContext.getOrCreate(checkpointDir, pipeline, {
      printLine: (line) => void heard.printed.push(line),
      onEvent: (event) => void heard.events.push(event),
      ...options,
    });
    return new PipelineRun(context, heard);
  }

  of<T extends EngineEvent['type']>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type);
  }

  /** Resolves when `test` holds; it is asked again at each event, and now and then: an engine that can
   * do nothing is silent, while what a test waits for may come from elsewhere. */
  async until(what: string, test: () => boolean): Promise<void> {
    if (test()) return;
    await new Promise<void>((resolve, reject) => {
      const ask = (): void => {
        try {
          if (!test()) return;
          resolve();
        } catch (error) {
          reject(toError(error));
        }
        end();
      };
      const late = setTimeout(() => {
        end();
        const last = JSON.stringify(this.events.slice(-6));
        reject(new Error(`${what} did not come in ${WAIT_LIMIT_MS} ms; last: ${last}`));
      }, WAIT_LIMIT_MS);
      const asking = setInterval(ask, ASK_MS);
      const unsubscribe = this.context.subscribe(ask);
      const end = (): void => {
        clearTimeout(late);
        clearInterval(asking);
        unsubscribe();
      };
    });
  }

  /** Resolves with the first event of a type, past or to come. */
  async event<T extends EngineEvent['type']>(type: T): Promise<EventOf<T>> {
    await this.until(type, () => this.of(type).length > 0);
    return this.of(type)[0] as EventOf<T>;
  }
}

/** The error that `doing` rejects with. */
export async function failureOf(doing: Promise<unknown>): Promise<Error & { code?: string }> {
  const outcome = await doing.then(
    () => 'no failure',
    (error: unknown) => error,
  );
  if (outcome instanceof Error) return outcome;
  throw new Error(`it did not fail: ${String(outcome)}`);
}
