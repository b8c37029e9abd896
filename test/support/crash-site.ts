/** A place where engines are started and killed: a pipeline file, a checkpoint directory and output
 * below one temporary directory, which `close` removes. Remembers every engine it started, so that a
 * failed comparison can be told with the history that led to it. @module */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import { ChildEngine, endAll } from './child-engine.ts';
import type { CrashPlans, DiskFailure } from './child-engine.ts';

export interface StartOptions {
  readonly options?: Partial<PipelineOptions>;
  readonly crash?: CrashPlans;
  readonly failing?: DiskFailure;
  /** Another directory than the site's own; `false`: none. */
  readonly checkpointDir?: string | false;
  /** Command that starts the engine. */
  readonly prefix?: readonly string[];
}

export class CrashSite {
  readonly directory: string;
  readonly checkpointDir: string;
  /** For `saveAsTextFiles`. */
  readonly outputPrefix: string;
  readonly engines: ChildEngine[] = [];
  readonly #options: Partial<PipelineOptions>;
  #pipelineCount = 0;
  #pipeline = '';

  /** @param options of every start, unless it says otherwise. */
  constructor(options: Partial<PipelineOptions> = {}) {
    this.directory = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
    this.checkpointDir = join(this.directory, 'checkpoint');
    mkdirSync(join(this.directory, 'out'));
    this.outputPrefix = join(this.directory, 'out', 'batch');
    this.#options = options;
  }

  /** Writes the pipeline that later starts run: the body of the function that `definePipeline`
   * takes. @param head code before it: imports, classes. */
  pipeline(body: string, head = ''): void {
    this.#pipelineCount += 1;
    this.#pipeline = join(this.directory, `pipeline-${this.#pipelineCount}.mjs`);
    // Whatever the temporary directory of this machine is on.
    const anywhere = { allowNetworkFileSystem: true };
    const settings = { name: 'crash-test', batchInterval: 100, ...anywhere };
    writeFileSync(
      this.#pipeline,
      `import { definePipeline, Receiver } from 'millrace';\n${head}\n` +
        `export default definePipeline(${JSON.stringify(settings)}, (ssc) => {\n${body}\n});\n`,
    );
  }

  start(start: StartOptions = {}): ChildEngine {
    const { options, crash = {}, failing, prefix = [] } = start;
    const engine = new ChildEngine(
      {
        pipeline: this.#pipeline,
        checkpointDir: start.checkpointDir ?? this.checkpointDir,
        options: { ...this.#options, ...options },
        crash,
        ...(failing === undefined ? {} : { failing }),
      },
      prefix,
    );
    this.engines.push(engine);
    return engine;
  }

  /** Runs an engine until it ends by itself. */
  async finish(start: StartOptions = {}): Promise<ChildEngine> {
    const engine = this.start(start);
    const exit = await engine.ended();
    expect(exit, engine.describe()).toEqual({ code: 0, signal: null });
    return engine;
  }

  /** Ends a running engine gracefully. */
  async stop(engine: ChildEngine): Promise<void> {
    engine.askToStop();
    const exit = await engine.ended();
    expect(exit, engine.describe()).toEqual({ code: 0, signal: null });
  }

  /** @param isKept leave the files for a look. */
  async close(isKept = false): Promise<void> {
    await endAll();
    if (!isKept) rmSync(this.directory, { recursive: true, force: true });
  }
}
