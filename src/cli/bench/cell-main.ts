/** Entry of the process in which one sample is taken: gets its task as a message, answers, ends.
 *
 * Whoever started it ends it when a signal comes: a terminal sends SIGINT to both. It ends by
 * itself when nobody is left to hear the answer. @module */
import { toWireError } from '../../serde/wire-error.ts';
import { measureCell } from './cell-measurement.ts';
import type { CellAnswer, CellTask } from './cell-protocol.ts';

process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(1));
process.once('message', (task) => {
  void answer(task as CellTask);
});

async function answer(task: CellTask): Promise<void> {
  let found: CellAnswer;
  try {
    found = { kind: 'measured', sample: await measureCell(task) };
  } catch (error) {
    found = { kind: 'failed', error: toWireError(error) };
  }
  process.send?.(found, undefined, undefined, () => process.exit(0));
}
