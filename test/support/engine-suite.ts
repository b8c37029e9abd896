/** Runs histories of an engine, one seed after the other, and tells of the first that goes wrong how
 * to see it again. @module */
import { EngineHistory } from './engine-history.ts';
import { simSeed } from './sim-runs.ts';

/** Of each of the four tests, in CI. */
export const HISTORIES: number = 5_000;
/** Events of a failing history that its message shows. */
const EVENTS_SHOWN = 60;
/** Between two looks at the real event loop. */
const HISTORIES_AT_ONCE = 20;

/** What happened in all histories, by name. */
export type Tally = ReadonlyMap<string, number>;

/** Histories of the seeds `first` … `first + count - 1`, counted from MILLRACE_SEED.
 * @throws with seed, plan and the last events when one of them does not hold. */
export async function playHistories(first: number, count: number): Promise<Tally> {
  const tally = new Map<string, number>();
  for (let n = first; n < first + count; n += 1) {
    const happened = await playHistory(simSeed + n, `history ${n - first + 1} of ${count}`);
    for (const [name, times] of happened) tally.set(name, (tally.get(name) ?? 0) + times);
    if (n % HISTORIES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return tally;
}

async function playHistory(seed: number, place: string): Promise<Tally> {
  const history = new EngineHistory(seed);
  try {
    await history.run();
    return history.tally;
  } catch (error) {
    const { trace } = history.scheduler;
    const plan = JSON.stringify(history.plan);
    const last = trace.last(EVENTS_SHOWN);
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${place}, MILLRACE_SEED=${seed}: ${reason}\nplan: ${plan}\nits last events:\n${last}`,
      { cause: error },
    );
  }
}
