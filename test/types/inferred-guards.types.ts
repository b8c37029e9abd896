/** What TypeScript infers from 5.5 on; test/integration/tarball.test.ts checks the other files of
 * this folder with older ones too. Checked by `npm run typecheck`, never run.
 * @module */
import type { DStream } from 'millrace';

export function numbersOf(mixed: DStream<string | number>): DStream<number> {
  return mixed.filter((x) => typeof x === 'number');
}
