/** The first steps of a run, which need little of the engine: the call is checked, and the pipeline
 * compiled. A process of its own compiles; this one loads the engine meanwhile.
 * @module */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { systemClock } from '../core/clock.ts';
import { OptionCheck } from '../dstream/option-check.ts';
import type { PreparedRun } from './context-setup.ts';
import { bundlePipeline } from './pipeline-bundle.ts';
import type { InternalOptions, RunOptions } from './run-options.ts';

/** Arguments: StreamingContext.getOrCreate. */
export async function prepareRun(
  checkpointDir: string | false | undefined,
  module: URL | string,
  given: RunOptions & InternalOptions,
): Promise<PreparedRun> {
  const { clock = systemClock, batches, printLine, onEvent, dropState = [] } = given;
  checkCall(module, { batches, printLine, onEvent, dropState });
  const startedMs = clock.monotonicMs();
  const file = module instanceof URL ? module : pathToFileURL(resolve(module));
  const [bundle, { setUpRun }] = await Promise.all([
    bundlePipeline(file),
    import('./context-setup.ts'),
  ]);
  const path = fileURLToPath(file);
  return setUpRun({ checkpointDir, path, bundle, given, clock, startedMs });
}

/** What options.ts does not check: it belongs to this run alone.
 * @throws {MillraceError} OPTIONS_INVALID. */
function checkCall(
  module: unknown,
  { batches, printLine, onEvent, dropState }: Readonly<Record<string, unknown>>,
): void {
  const check = new OptionCheck('getOrCreate()');
  check.require(
    module instanceof URL || (typeof module === 'string' && module !== ''),
    'its second argument must be the file that exports the pipeline, as a URL or a path: ' +
      'every thread imports it',
  );
  if (batches !== undefined) {
    check.integer('batches', batches, { min: 1, max: Number.MAX_SAFE_INTEGER });
  }
  if (printLine !== undefined) check.function('printLine', printLine);
  if (onEvent !== undefined) check.function('onEvent', onEvent);
  check.require(
    Array.isArray(dropState) && dropState.every((id) => typeof id === 'string'),
    'dropState must be an array with the ids of operators',
  );
  check.finish();
}
