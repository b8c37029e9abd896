/** The end of a task of `dedupeBy`: lets the first record of each key pass, and remembers the key.
 *
 *     pairs of key and record ──push──► first of its key, and no span runs? ──► output, delta
 *
 * An entry has the key, no value, and as the time of its touch the batch in which the span began. A
 * repeat changes nothing, so it costs no delta and the span does not move. A key whose span is over
 * goes in the batch in which it is due, or begins a new one there.
 * docs/decisions/0020-dedupe-by.md. @module */
import { PieceWriter } from './shuffle-piece.ts';
import { pairOf } from './stage-chain.ts';
import type { StateTask } from './state-task.ts';
import type { StageEnd } from './task-environment.ts';

export function deduplicating(task: StateTask): StageEnd {
  const output = new PieceWriter(task.env.codec);
  /** Keys that this batch has had. */
  let keyCount = 0;
  return {
    push(pair) {
      const [key, record] = pairOf(task.node.id, pair);
      const keyNumber = task.touched.touch(key);
      if (keyNumber < keyCount) return;
      keyCount = task.touched.count;
      if (task.isRunning(keyNumber)) return;
      task.remember(keyNumber);
      output.add(record);
    },
    finish() {
      task.expire(() => undefined);
      return task.finish(output);
    },
  };
}
