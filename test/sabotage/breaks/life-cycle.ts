/** States of a context, listeners, and what the order of events promises. @module */
import { sim, unit } from './break.ts';
import type { Break } from './break.ts';

export const LIFE_CYCLE_BREAKS: readonly Break[] = [
  {
    name: 'a second context starts beside an active one',
    violates: 'a process has one active context',
    file: 'src/driver/active-contexts.ts',
    find: 'if (first !== undefined && !mayShare) {',
    replace: 'if (first === context && !mayShare) {',
    caughtBy: unit('src/driver/active-contexts.test.ts', 'one at a time'),
  },
  {
    name: 'stop() in foreachBatch waits for its own batch',
    violates: 'what the end waits for does not wait for the end',
    file: 'src/driver/stream-context.ts',
    find: 'if (!isInOutput) await stopped;',
    replace: 'if (!isInOutput || isGraceful) await stopped;',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/listeners.test.ts',
      test: 'graceful: true',
    },
  },
  {
    name: 'a stop that a listener asks for begins beside the one that it heard of',
    violates: 'a run is stopped once',
    file: 'src/driver/engine.ts',
    find: '    this.#ending = ending;\n    begin(this.#stop(isGraceful, reason));\n',
    replace: '    begin(this.#stop(isGraceful, reason));\n    this.#ending = ending;\n',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/life.test.ts',
      test: 'hears of the stop',
    },
  },
  {
    name: 'what a function of foreachBatch leaves behind counts as the function',
    violates: 'stop() resolves when all is closed, for whoever the end does not wait for',
    file: 'src/driver/output-calls.ts',
    find: '      call.isUnderWay = false;\n',
    replace: '',
    caughtBy: unit('src/driver/output-calls.test.ts', 'leaves behind'),
  },
  {
    name: 'listeners hear what one of them causes before its cause',
    violates: 'all listeners hear the same order',
    file: 'src/core/events.ts',
    find: "    if (this.#state === 'emitting') return;\n",
    replace: '',
    caughtBy: unit('src/core/events.test.ts', 'the same order'),
  },
  {
    name: 'an error of a listener ends the calls of the others',
    violates: 'a listener that throws does not end other listeners',
    file: 'src/driver/streaming-listeners.ts',
    find: '        this.#threw(listener, method, error);\n      }\n    }\n',
    replace: '        this.#threw(listener, method, error);\n        return;\n      }\n    }\n',
    caughtBy: unit('src/driver/streaming-listeners.test.ts', 'one that throws'),
  },
  {
    name: 'an output that fails is never completed',
    violates: 'each output operation that started is completed once',
    file: 'src/driver/batch-report.ts',
    find: '      tellCompleted({ failureReason: toError(error).message });\n',
    replace: '',
    caughtBy: sim('test/sim/engine-histories.test.ts', 'loses nothing'),
  },
  {
    name: 'a batch counts as started when it is submitted',
    violates: 'a batch is submitted, started, completed, in this order',
    file: 'src/driver/batch-scheduler.ts',
    find: '    const report = new BatchReport(batch.share, this.#options);\n',
    replace:
      '    const report = new BatchReport(batch.share, this.#options);\n    report.completed();\n',
    caughtBy: sim('test/sim/engine-histories.test.ts', 'loses nothing'),
  },
  {
    name: 'a receiver whose thread had no time to say so never stops',
    violates: 'each receiver that started stops once',
    file: 'src/driver/receiver-reports.ts',
    find: '    for (const place of this.#running.values()) this.#stopped(place);\n',
    replace: '',
    caughtBy: unit('src/driver/receiver-reports.test.ts', 'no time to say so'),
  },
  {
    name: 'a listener hears something after the end',
    violates: 'nobody hears anything after the end',
    file: 'src/core/events.ts',
    find: "    if (this.#state === 'closed') return;\n",
    replace: '',
    caughtBy: unit('src/core/events.test.ts', 'once it is closed'),
  },
  {
    name: 'a receiver of a dead thread starts again when its news comes late',
    violates: 'a receiver starts, then stops or restarts',
    file: 'src/driver/receiver-tracker.ts',
    find: "        if (event.kind !== 'error' && !this.isCurrentLife(life)) return;\n",
    replace: '',
    caughtBy: unit('src/driver/receiver-tracker.test.ts', 'no news any more'),
  },
];
