/** The way to the device: no wait for the process's thread pool. @module */
import { unit } from './break.ts';
import type { Break, Catcher } from './break.ts';

const LOG_TEST = unit('src/wal/write-ahead-log.test.ts');
const DISK_THREAD_TEST: Catcher = {
  project: 'integration',
  file: 'test/integration/disk-thread.test.ts',
};

export const DISK_THREAD_BREAKS: readonly Break[] = [
  // ── The way to the device: no wait for the process's thread pool ──
  {
    name: 'the disk thread leaves its calls to the thread pool',
    violates: 'R1: a commit waits for whatever else uses the pool',
    file: 'src/wal/node-disk.ts',
    find: '  return { ...directories(run), ...files(run), ...directAccess(run, allocate) };\n',
    replace:
      '  run = pooledCall;\n  return { ...directories(run), ...files(run), ...directAccess(run, allocate) };\n',
    caughtBy: DISK_THREAD_TEST,
  },
  {
    name: 'calls of a disk thread that died are left pending',
    violates: 'I7: a log whose disk is gone is poisoned',
    file: 'src/wal/disk-thread.ts',
    find: '        for (const { path, reject } of waiting) reject(goneError(path, this.#ended));\n',
    replace: '        void waiting;\n',
    caughtBy: DISK_THREAD_TEST,
  },
  {
    name: 'memory that is not shared is not copied back from the disk thread',
    violates: 'I1',
    file: 'src/wal/disk-thread.ts',
    find: '    target.set(new Uint8Array(lent, 0, Number(count)));\n',
    replace: '',
    caughtBy: DISK_THREAD_TEST,
  },
  {
    name: 'a group that was written in part is synced and counts',
    violates: 'R1, I7',
    file: 'src/wal/group-commit.ts',
    find: '    const taken = await (both ?? file.write(views, active.endBytes));\n',
    replace: '    await (both ?? file.write(views, active.endBytes));\n    const taken = bytes;\n',
    caughtBy: LOG_TEST,
  },
  {
    name: 'the CRC of small pieces skips their last bytes',
    violates: 'I11',
    file: 'src/serde/small-crc32.ts',
    find: '    for (; at < end; at += 1) {\n',
    replace: '    for (; at < end - 4; at += 1) {\n',
    caughtBy: unit('src/serde/small-crc32.test.ts'),
  },
];
