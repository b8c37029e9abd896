/** The engine in a process of its own, for tests that kill it. Started with one JSON argument
 * (ChildArguments in test/support/child-engine.ts); prints one JSON object a line: every engine
 * event as it is, then `ready`, `finished` or `failed`. The end of its standard input stops it
 * gracefully: a signal would kill a process that has just finished and waits for its exit, where
 * Node no longer holds the handler. The exit code is that of the error that ended it.
 *
 * Plain JavaScript over dist/, so that what is killed is what users run. @module */
import { writeSync } from 'node:fs';
import { armCrash } from '../../dist/core/crash-point.js';
import { MillraceError, toError } from '../../dist/core/errors.js';
import { StreamingContext } from '../../dist/driver/stream-context.js';
import { nodeDisk } from '../../dist/wal/node-disk.js';
import { failingDisk } from './failing-disk.mjs';

const { pipeline, checkpointDir, options, crash, failing } = JSON.parse(process.argv[2]);
const stopping = new AbortController();
process.stdin.on('end', () => stopping.abort()).resume();
process.stdin.unref();

/** At once: the process may be dead in the next moment. */
function tell(event) {
  writeSync(1, `${JSON.stringify(event)}\n`);
}

/** Messages from the error to its first cause. */
function messages(error) {
  return error instanceof Error ? [error.message, ...messages(error.cause)] : [];
}

try {
  armCrash(crash.driver);
  const context = await StreamingContext.getOrCreate(checkpointDir, pipeline, {
    ...options,
    crash: { receivers: crash.receivers, tasks: crash.tasks },
    ...(failing === undefined ? {} : { disk: failingDisk(nodeDisk, failing) }),
    signal: stopping.signal,
    printLine: (line) => tell({ type: 'printed', line }),
    onEvent: tell,
  });
  await context.start();
  tell({ type: 'ready' });
  await context.awaitTermination();
  tell({ type: 'finished', totals: context.totals });
} catch (thrown) {
  const error = toError(thrown);
  const code = error instanceof MillraceError ? error.code : 'UNKNOWN';
  tell({ type: 'failed', code, message: messages(error).join(': '), stack: error.stack });
  process.exitCode = error instanceof MillraceError ? error.exitCode : 70;
}
