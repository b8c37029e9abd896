/** Breaks of what the log does when two things happen at once, or nearly nothing: at its end, at a
 * roll, on half a write. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const POISON_TEST = 'src/wal/log-poison.test.ts';

export const LOG_EDGE_BREAKS: readonly Break[] = [
  {
    name: 'edges: a segment of the flush level is left unsynced by its successor',
    violates: 'I2',
    file: 'src/wal/group-commit.ts',
    find: '    if (this.#durableLsn < this.#lastLsn) await this.#sync();\n    if (!(await',
    replace: '    if (!(await',
    caughtBy: unit('src/wal/write-ahead-log.test.ts', 'syncs a segment before'),
  },
  {
    name: 'edges: a second failure poisons the log a second time',
    violates: 'I1',
    file: 'src/wal/group-commit.ts',
    find: '    if (this.#poison !== undefined) return this.#poison;\n',
    replace: '',
    caughtBy: unit(POISON_TEST, 'two failures at once'),
  },
  {
    name: 'edges: a roll that fails is told to records that were told they are durable',
    violates: 'I1',
    file: 'src/wal/group-commit.ts',
    find: '    if (this.#inFlight === group) this.#inFlight = new Records();\n',
    replace: '',
    caughtBy: unit(POISON_TEST, 'told before'),
  },
  {
    name: 'edges: the timer of a poisoned log goes on',
    violates: 'I1',
    file: 'src/wal/write-ahead-log.ts',
    find: '      if (this.#commit.poisonedBy !== undefined) return;\n',
    replace: '',
    caughtBy: unit(POISON_TEST, 'sets no timer'),
  },
  {
    name: 'edges: a file that cannot be closed hides the poison',
    violates: 'I1',
    file: 'src/wal/write-ahead-log.ts',
    find: 'throw poisonedBy ?? thrown;',
    replace: 'throw thrown;',
    caughtBy: unit(POISON_TEST, 'tells its poison'),
  },
  {
    name: 'edges: a closed pool of spares sets a timer',
    violates: 'space',
    file: 'src/wal/spare-pool.ts',
    find: '  #armRetry(): void {\n    if (this.#isClosed) return;\n',
    replace: '  #armRetry(): void {\n',
    caughtBy: unit('src/wal/spare-pool.test.ts', 'sets no timer'),
  },
  {
    name: 'edges: half a piece counts as copied',
    violates: 'I1',
    file: 'src/wal/copy-restore.ts',
    find: '      if (taken !== piece.byteLength) throw shortWrite(target.path, piece.byteLength, taken);\n',
    replace: '',
    caughtBy: unit('src/wal/copy-restore.test.ts', 'takes a part only'),
  },
  {
    name: 'edges: the one call that writes and syncs is not looked at afterwards',
    violates: 'I9',
    file: 'src/wal/owned-disk.ts',
    find: 'owned.before(() => owned.through(() => writeSynced(views, positionBytes))),',
    replace: 'owned.before(() => writeSynced(views, positionBytes)),',
    caughtBy: unit('src/wal/owned-disk.test.ts', 'writes and syncs before and after'),
  },
  {
    name: 'edges: a long write goes on behind a gap',
    violates: 'I1',
    file: 'src/wal/node-disk.ts',
    find: '      if (taken < sumBytes(part)) break;\n',
    replace: '',
    caughtBy: unit('src/wal/node-disk-calls.test.ts', 'ends with the first call'),
  },
  {
    name: 'edges: a torn tail that a failing disk does not keep is let go',
    violates: 'I6',
    file: 'src/driver/recovery.ts',
    find: "      if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') throw error;\n",
    replace: '      if (!(error instanceof MillraceError)) throw error;\n',
    caughtBy: unit('src/driver/recovery-torn-tails.test.ts', 'on a disk that fails'),
  },
  {
    name: 'edges: a log elsewhere is written directly',
    violates: 'I6',
    file: 'src/driver/recovery.ts',
    find: "      mode: 'buffered', // few records, and another directory may not know direct writes\n",
    replace: "      mode: 'direct',\n",
    caughtBy: unit('src/driver/recovery-elsewhere.test.ts'),
  },
];
