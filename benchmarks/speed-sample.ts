/** How fast an engine that runs at full speed is, and what that costs it. @module */
import { setTimeout as delay } from 'node:timers/promises';
import type { Conditions, Metric, Sample } from './benchmark.ts';
import type { EngineProcess } from './engine-process.ts';
import { cpuMs, machineCpuMs } from './process-cost.ts';

/** Until the compiler has seen the hot loops, and the log has as many segments as it will have. */
const WARM_UP_MS = 4_000;

/** What `measureSpeed` gives. */
export const SPEED_METRICS = {
  recordsPerSecond: { unit: 'M records/s', digits: 2, divisor: 1e6 },
  cpuNsPerRecord: { unit: 'ns CPU/record', digits: 0 },
  syncMsP99: { unit: 'ms sync p99', digits: 1 },
  otherCores: { unit: 'cores taken by others', digits: 2 },
} as const satisfies Readonly<Record<string, Metric>>;

/** Speed between two completions of batches: batches run one after the other, so what was completed
 * between two completions was done between them. */
export async function measureSpeed(
  engine: EngineProcess,
  conditions: Conditions,
  warmUpMs = WARM_UP_MS,
): Promise<Sample> {
  await engine.line('engine-started');
  await delay(conditions.isSmoke ? 300 : warmUpMs);
  const fromMs = Date.now();
  const cpuBefore = cpuMs(engine.pid);
  const machineBefore = machineCpuMs();
  const countBefore = engine.recordCount;
  const batchesBefore = engine.batches.length;
  if (!conditions.isSmoke) await delay(conditions.seconds * 1_000);
  // Two are what a sample begins and ends with, however long a busy machine takes for them.
  else await engine.completed(batchesBefore + 2);
  const toMs = Date.now();
  const cpuAfter = cpuMs(engine.pid);
  const machineAfter = machineCpuMs();
  const during = engine.batches.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
  const [first, ...rest] = during;
  const last = rest.at(-1);
  if (first === undefined || last === undefined) throw new Error('fewer than two batches ended');
  const records = rest.reduce((sum, batch) => sum + batch.recordCount, 0);
  const recordsPerSecond = records / ((last.atMs - first.atMs) / 1_000);
  const sync = engine.lines.findLast(({ syncMsP99 }) => syncMsP99 !== undefined)?.['syncMsP99'];
  const cpu = difference(cpuBefore, cpuAfter);
  const machineCpu = difference(machineBefore, machineAfter);
  const counted = engine.recordCount - countBefore;
  return {
    recordsPerSecond,
    ...(cpu === undefined ? {} : { cpuNsPerRecord: (cpu * 1e6) / counted }),
    ...(sync === undefined ? {} : { syncMsP99: Number(sync) }),
    ...(cpu === undefined || machineCpu === undefined
      ? {}
      : { otherCores: (machineCpu - cpu) / (toMs - fromMs) }),
  };
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}
