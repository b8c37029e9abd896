/** HTTP clients on one side of an engine that is killed, its output on the other: a trial of what
 * the engine promises. What comes in is saved twice, as it is and counted after a shuffle, so that
 * each batch has two jobs. @module */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import { checkShares, readLines } from './batch-output.ts';
import { CrashSite } from './crash-site.ts';
import { freePort, HttpClients } from './http-clients.ts';
import { checkRecords } from './record-sets.ts';

/** Blocks that are cut often, segments so small that they are recycled within a second. */
const OPTIONS: Partial<PipelineOptions> = {
  blockInterval: 10,
  executors: 2,
  memory: '64MiB',
  receiverSegmentBytes: '128KiB',
  driverSegmentBytes: '64KiB',
};

export interface HttpTrialOptions {
  readonly withKeys: boolean;
  readonly options?: Partial<PipelineOptions>;
  /** Bytes added to each record. */
  readonly paddingBytes?: number;
}

export class HttpTrial {
  readonly site: CrashSite;
  readonly clients: HttpClients;
  readonly #withKeys: boolean;
  readonly #port: number;
  readonly #countsPrefix: string;

  private constructor(port: number, { withKeys, options, paddingBytes = 0 }: HttpTrialOptions) {
    this.site = new CrashSite({ ...OPTIONS, ...options });
    mkdirSync(join(this.site.directory, 'counts'));
    this.#countsPrefix = join(this.site.directory, 'counts', 'batch');
    this.#withKeys = withKeys;
    this.#port = port;
    this.pipeline();
    this.clients = new HttpClients({ port, withKeys, clients: 4, paddingBytes });
  }

  /** The clients begin at once; the engine is the caller's to start. */
  static async open(options: HttpTrialOptions): Promise<HttpTrial> {
    return new HttpTrial(await freePort(), options);
  }

  /** Replaces the pipeline. @param given operators between input and outputs; statements after the
   *   outputs, which may name the stream `lines`; code before the pipeline. */
  pipeline(given: { operators?: string; more?: string; head?: string } = {}): void {
    const { operators = '', more = '', head } = given;
    this.site.pipeline(
      `const lines = ssc.httpTextStream({ port: ${this.#port} })${operators};
      lines.saveAsTextFiles(${JSON.stringify(this.site.outputPrefix)});
      lines.mapToPair((line) => [line.slice(0, line.indexOf('-')), 1])
        .reduceByKey((a, b) => a + b)
        .saveAsTextFiles(${JSON.stringify(this.#countsPrefix)});
      ${more}`,
      head,
    );
  }

  /** Lets the clients end, then the engine, and compares. @param engine that runs; else one is
   *   started. */
  async finishAndCheck(engine = this.site.start()): Promise<void> {
    await engine.ready();
    await this.clients.finish();
    await this.site.stop(engine);
    this.#check();
  }

  /** Ends everything, also in the middle. */
  async close(): Promise<void> {
    await this.site.close();
    await this.clients.giveUp();
  }

  #check(): void {
    const { acknowledged, acknowledgedAtFirst, sent } = this.clients;
    expect(acknowledged.size).toBe(sent.size);
    const delivered = readLines(this.site.outputPrefix);
    checkRecords(delivered, {
      promised: acknowledged,
      sent,
      onceOnly: this.#withKeys ? sent : acknowledgedAtFirst,
    });
    checkShares(this.site);
    expect(sumOfCounts(readLines(this.#countsPrefix))).toEqual(countsOf(delivered));
  }
}

/** Records of each client. */
function countsOf(records: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const record of records) {
    const client = record.slice(0, record.indexOf('-'));
    counts[client] = (counts[client] ?? 0) + 1;
  }
  return counts;
}

function sumOfCounts(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of lines) {
    const [, client = line, count] = /^\((\w+),(\d+)\)$/.exec(line) ?? [];
    counts[client] = (counts[client] ?? 0) + Number(count);
  }
  return counts;
}
