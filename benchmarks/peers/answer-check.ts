/** Whether a peer counted right: what it did not do, it cannot have done fast. @module */
import { expectedSums } from '../generator-check.ts';
import type { Workload } from './peer.ts';
import type { PeerAnswer } from './peer-process.ts';

/** @throws when a log does not have what it acknowledged, or a stream's sums are not those of the
 * lines that it was fed. */
export function checkAnswer(workload: Workload, answer: PeerAnswer): void {
  if (workload === 'records' || workload === 'blocks') {
    const { appended, found, records } = answer;
    if (Number(appended) >= records && appended === found) return;
    throw new Error(`${String(appended)} records acknowledged, and the log holds ${String(found)}`);
  }
  const fed = fedCounts(answer);
  for (const name of Object.keys(expectedSums(workload, 0))) {
    const expected = fed
      .map((count) => expectedSums(workload, count)[name] ?? Number.NaN)
      .reduce((sum, each) => sum + each, 0);
    if (answer[name] !== expected) {
      throw new Error(`${name}: ${String(answer[name])}, but of what it was fed ${expected}`);
    }
  }
}

/** Of each source that began with the first line. */
function fedCounts({ fed }: PeerAnswer): readonly number[] {
  const counts: readonly unknown[] = Array.isArray(fed) ? fed : [];
  const isKnown = (count: unknown): count is number =>
    Number(count) >= 0 && Number.isSafeInteger(count);
  if (counts.length > 0 && counts.every(isKnown)) return counts;
  throw new Error(`it does not say what it was fed: ${JSON.stringify(fed)}`);
}
