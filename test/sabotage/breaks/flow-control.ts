/** Breaks of flow control: rates, batches at the same time, batch times that were missed. @module */
import { sim, unit } from './break.ts';
import type { Break } from './break.ts';

const BUCKET = 'src/workers/token-bucket.test.ts';
const GATE = 'src/workers/rate-gate.test.ts';
const BLOCKS = 'src/workers/block-generator.test.ts';
const PID = 'src/driver/pid-rate-estimator.test.ts';
const RATES = 'src/driver/rate-controller.test.ts';
const BATCHES = 'src/driver/concurrent-batches.test.ts';
const GENERATOR = 'src/driver/batch-generator.test.ts';

export const FLOW_CONTROL_BREAKS: readonly Break[] = [
  {
    name: 'a rate forgets its debt when it changes',
    violates: 'over any time no more than the rate',
    file: 'src/workers/token-bucket.ts',
    find: '    this.#tokens = Math.min(this.#tokens, this.#capacity);\n',
    replace: '    this.#tokens = this.#capacity;\n',
    caughtBy: unit(BUCKET, 'keeps what was earned'),
  },
  {
    name: 'a bucket without a bottom and without a brim',
    violates: 'over any time no more than the rate',
    file: 'src/workers/token-bucket.ts',
    find: '    this.#tokens = Math.min(this.#capacity, this.#tokens + earned);\n',
    replace: '    this.#tokens += earned;\n',
    caughtBy: unit(BUCKET),
  },
  {
    name: 'backpressure may go above the highest rate',
    violates: 'maxRate',
    file: 'src/workers/rate-gate.ts',
    find: '    const rate = Math.min(recordsPerSecond, maxRate);\n',
    replace: '    const rate = maxRate > 0 ? recordsPerSecond : maxRate;\n',
    caughtBy: unit(GATE, 'the rate that a gate goes by'),
  },
  {
    name: 'a rate of 0 closes a gate for ever',
    violates: 'SPARK-9966 is not ours',
    file: 'src/workers/rate-gate.ts',
    find: '    if (!(recordsPerSecond > 0)) return;\n',
    replace: '    if (recordsPerSecond < 0) return;\n',
    caughtBy: unit(GATE, 'the rate that a gate goes by'),
  },
  {
    name: 'a call of many records is free',
    violates: 'maxRate',
    file: 'src/workers/block-generator.ts',
    find: '    rate.spend(call.records.length);\n',
    replace: '    rate.spend(1);\n',
    caughtBy: unit(BLOCKS, 'with a rate'),
  },
  {
    name: 'a stop waits for a token',
    violates: 'no wait without an end',
    file: 'src/workers/block-generator.ts',
    find: '    this.#options.rate.wake();\n    const stopped =',
    replace: '    const stopped =',
    caughtBy: unit(BLOCKS, 'leaves no timer'),
  },
  {
    name: 'what waits does not lower the rate',
    violates: 'the PID formula',
    file: 'src/driver/pid-rate-estimator.ts',
    find: ' - integral * waiting',
    replace: ' - 0 * integral * waiting',
    caughtBy: unit(PID),
  },
  {
    name: 'a rate below the least one',
    violates: 'minRate',
    file: 'src/driver/pid-rate-estimator.ts',
    find: '    const rate = Math.max(minRate, wanted);\n',
    replace: '    const rate = Math.max(0 * minRate, wanted);\n',
    caughtBy: unit(PID),
  },
  {
    name: 'each receiver gets the rate of its whole input',
    violates: 'the rate of an input is split',
    file: 'src/driver/rate-controller.ts',
    find: '    const recordsPerSecond = rate / (receivers.get(streamId) ?? 1);\n',
    replace: '    const recordsPerSecond = rate * Math.min(1, receivers.get(streamId) ?? 1);\n',
    caughtBy: unit(RATES, 'gives each receiver its part'),
  },
  {
    name: 'batches overtake each other at an output',
    violates: 'an output has its batches in order',
    file: 'src/driver/batch-scheduler.ts',
    find: '        await run.turn(index);\n',
    replace: '',
    caughtBy: unit(BATCHES),
  },
  {
    name: 'batches overtake each other at an output, in a simulated engine',
    violates: 'an output has its batches in order',
    file: 'src/driver/batch-scheduler.ts',
    find: '        await run.turn(index);\n',
    replace: '',
    caughtBy: sim('test/sim/engine-histories.test.ts', 'loses nothing that it promised'),
  },
  {
    name: 'a batch is done before the one before it',
    violates: 'cleaning goes by the oldest unfinished batch',
    file: 'src/driver/batch-scheduler.ts',
    find: '      await run.lastTurn();\n',
    replace: '',
    caughtBy: unit(BATCHES, 'are done in their order'),
  },
  {
    name: 'the batch after a failed one takes effect',
    violates: 'nothing is skipped',
    file: 'src/driver/batch-scheduler.ts',
    find: '        await run.turn(index);\n        this.#throwIfFailed();\n',
    replace: '        await run.turn(index);\n',
    caughtBy: unit(BATCHES, 'end with the first failure'),
  },
  {
    name: 'a batch frees the shuffles of one that runs beside it',
    violates: 'I8',
    file: 'src/driver/batch-history.ts',
    find: '      if (this.#running.has(timeMs)) continue;\n',
    replace: '',
    caughtBy: unit(BATCHES, 'the shuffles of a later batch'),
  },
  {
    name: 'what is received after a restart is in a batch of the downtime',
    violates: 'catch-up',
    file: 'src/driver/batch-generator.ts',
    find: '      isMadeUp: isMissed && this.#isMakingUp,\n',
    replace: '      isMadeUp: isMissed && this.#missedThroughMs < 0,\n',
    caughtBy: unit(GENERATOR, 'each missed time has a batch'),
  },
  {
    name: 'a downtime is left out where it should be made up',
    violates: 'catch-up',
    file: 'src/driver/batch-generator.ts',
    find: '    if (this.#isBehind()) return (lastAllocatedMs + batchIntervalMs) as BatchTimeMs;\n',
    replace: '',
    caughtBy: unit(GENERATOR, 'each missed time has a batch'),
  },
  {
    name: 'a run that is given up waits for all calls of the user but the newest',
    violates: 'no wait without an end',
    file: 'src/driver/output-runner.ts',
    find: '    this.#abandons.add(abandon);\n',
    replace: '    this.#abandons.clear();\n    this.#abandons.add(abandon);\n',
    caughtBy: unit(BATCHES, 'given up'),
  },
];
