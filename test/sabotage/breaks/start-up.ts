/** Threads that start before it is known whether the run does. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

export const START_UP_BREAKS: readonly Break[] = [
  {
    name: 'a refused start leaves its threads',
    violates: 'a start that fails leaves nothing behind',
    file: 'src/driver/context-setup.ts',
    find: 'await Promise.all([threads?.close(), disks.close()]);',
    replace: 'await Promise.all([threads?.tasks, disks.close()]);',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/hygiene.test.ts',
      test: 'was refused while its threads were starting',
    },
  },
  {
    name: 'receiver threads that were never needed stay',
    violates: 'a run that has ended leaves nothing behind',
    file: 'src/driver/context-setup.ts',
    find: 'await Promise.all([receivers.close(), disks.close()]);',
    replace: 'await disks.close();',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/hygiene.test.ts',
      test: 'was never started',
    },
  },
  {
    name: 'threads that do not wait any more are ended with those that do',
    violates: 'a receiver executor is ended by the tracker, which stops its receivers first',
    file: 'src/driver/executor-threads.ts',
    find: '    this.#waiting.delete(executorIndex);\n',
    replace: '',
    caughtBy: unit('src/driver/executor-threads.test.ts'),
  },
  {
    name: 'modules that a start loads stay in files of their own',
    violates: 'a start loads few files',
    file: 'scripts/build.mjs',
    find: 'await joinModules(join(root, next));',
    replace: '',
    caughtBy: { project: 'integration', file: 'test/integration/joined-modules.test.ts' },
  },
];
