/** `kill -9` at random moments while a word count runs, restarted at once, until the input has
 * ended: the batches together then hold every word exactly as often as the input has it.
 *
 * A replayable source and an exactly-once sink, so the sum must be equal, not just bounded. Needs a
 * built dist/. MILLRACE_SEED replays the moments, MILLRACE_KILLS says how many. @module */
import { afterEach, describe, expect, it } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import type { Random } from '../../src/core/random.ts';
import type { ChildEvent } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { killAtRandom, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';
import { checkWordCounts, wordCountPipeline } from '../support/word-counts.ts';
import type { WordCountInput } from '../support/word-counts.ts';

interface History {
  readonly title: string;
  readonly input: WordCountInput;
  readonly options: Partial<PipelineOptions>;
  /** Options that another start chooses anew, from 1 to this. */
  readonly upTo?: { readonly executors?: number; readonly receiverExecutors?: number };
}

/** Small segments, so that logs roll and are recycled all the time. */
const SMALL_SEGMENTS = { receiverSegmentBytes: '256KiB', driverSegmentBytes: '64KiB' } as const;

const HISTORIES: readonly History[] = [
  {
    title: 'one receiver, segments that never roll',
    input: { total: 120_000, recordsPerSecond: 20_000 },
    options: {},
  },
  {
    title: 'three receivers on two logs, segments that roll all the time',
    input: { total: 200_000, recordsPerSecond: 40_000, receivers: 3, seed: 7 },
    options: { ...SMALL_SEGMENTS, blockInterval: 20, receiverExecutors: 2 },
  },
  {
    title: 'as fast as it goes, little memory',
    input: { total: 1_500_000, recordsPerSecond: 400_000, receivers: 2, seed: 11 },
    options: { memory: '32MiB', receiverSegmentBytes: '4MiB', driverSegmentBytes: '64KiB' },
  },
  {
    title: 'rare checkpoints, another number of executors and logs at each start, flush level',
    input: { total: 120_000, recordsPerSecond: 20_000, recordBytes: 30, receivers: 3, seed: 5 },
    options: {
      ...SMALL_SEGMENTS,
      blockInterval: 10,
      checkpointInterval: 1500,
      durability: 'flush',
    },
    upTo: { executors: 3, receiverExecutors: 3 },
  },
];

const sites: CrashSite[] = [];
afterEach(async (context) => {
  const isKept = context.task.result?.state === 'fail' && process.env['MILLRACE_KEEP'] === '1';
  await Promise.all(sites.splice(0).map((site) => site.close(isKept)));
});

describe(`random kills (MILLRACE_SEED=${SEED})`, () => {
  it.each(HISTORIES)('$title', async (history) => {
    const random = randomOf(history.title);
    // An input that has ended before there were enough kills is followed by a new one.
    let killsLeft = shareOfKills(1 / HISTORIES.length);
    while (killsLeft > 0) killsLeft -= await live(history, { random, killsMax: killsLeft });
  });
});

/** One input from its beginning to its end. @returns how often it was interrupted. */
async function live(
  { input, options, upTo = {} }: History,
  { random, killsMax }: { readonly random: Random; readonly killsMax: number },
): Promise<number> {
  const site = new CrashSite(options);
  sites.push(site);
  site.pipeline(wordCountPipeline(input, site.outputPrefix));
  let kills = 0;
  while (kills < killsMax) {
    const chosen = Object.entries(upTo).map(([option, max]) => [option, below(max, random) + 1]);
    const engine = site.start({ options: Object.fromEntries(chosen) as Partial<PipelineOptions> });
    if (await killAtRandom(engine, random)) {
      kills += 1;
      continue;
    }
    // A stop that was asked for was faster than the kill, or the input has ended.
    expect(engine.exit, engine.describe()).toEqual({ code: 0, signal: null });
    if (engine.events.some(isEndOfInput)) break;
  }
  await site.finish();
  checkWordCounts(input, site.outputPrefix);
  await site.close();
  return kills;
}

function below(max: number, random: Random): number {
  return Math.floor(max * random.next());
}

function isEndOfInput(event: ChildEvent): boolean {
  return event.type === 'engine-stopping' && event.reason === 'all inputs have ended';
}
