/** Runs a pipeline through histories of crashes: the call that users make.
 *
 * One call at a time: the places where a process may die are watched for all of this process. The
 * engine is loaded when it is needed first, for tests that use the rest of the kit only.
 * @module */
import type { CrashReport, CrashTestOptions } from './crash-options.ts';
import type { PipelineModule } from './pipeline-module.ts';

let lastCall: Promise<unknown> = Promise.resolve();

/** Runs a pipeline through random histories of crashes: the process is killed and started again,
 * threads die, the power fails, disks fail or are full, sources send twice, until all input is
 * through. Each batch of each output must then have the records that it has in a run in which
 * nothing happens.
 *
 * @param pipeline as for `runPipeline`; or a function that gives it for each life of the process,
 *   such as `(life) => import(`./pipeline.ts?life=${life}`)`, so that variables of the module are
 *   lost with the process, as they are in a real one.
 * @returns what was survived, when all histories were.
 * @throws {AssertionError} in the first history that leaves something else: its seed, how to replay
 *   it, its lives, the output and the batch, what is missing and what is too much. So it does when
 *   a run fails that nothing was done to; `cause` is what it failed with.
 * @throws {MillraceError} OPTIONS_INVALID, PIPELINE_INVALID for a wrong call or pipeline, and for
 *   what cannot be simulated.
 * @example
 * await crashTest(import('./wordcount.ts'), {
 *   input: { 'httpTextStream-0': [['to be or not to be'], ['be']] },
 * }); */
export function crashTest(
  pipeline: PipelineModule | ((life: number) => PipelineModule),
  options?: CrashTestOptions,
): Promise<CrashReport> {
  const call = lastCall.then(async () => {
    const { runCrashTest } = await import('./crash-run.ts');
    return runCrashTest(pipeline, options);
  });
  lastCall = call.catch(() => undefined);
  return call;
}
