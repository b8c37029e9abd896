/** The log itself. @module */
import { unit, sim } from './break.ts';
import type { Break } from './break.ts';

const LOG_TEST = unit('src/wal/write-ahead-log.test.ts');
const DURABILITY = sim('test/sim/wal-durability.test.ts', 'gives back what it acknowledged');

export const LOG_BREAKS: readonly Break[] = [
  // ── The log: I1, I3, I7 ──
  {
    name: 'the log acknowledges before the sync',
    violates: 'R1, I1',
    file: 'src/wal/group-commit.ts',
    find: '    else if (isSynced) await this.#sync();\n    return { group, offsets, firstLsn: place.firstLsn, segmentSeq: active.seq };\n',
    replace:
      '    const written = { group, offsets, firstLsn: place.firstLsn, segmentSeq: active.seq };\n    this.#settle(written);\n    if (both === undefined && isSynced) await this.#sync();\n    return written;\n',
    caughtBy: LOG_TEST,
  },
  {
    name: 'the log never syncs',
    violates: 'R1, I1',
    file: 'src/wal/group-commit.ts',
    find: '    await this.#segments.active.file.sync();\n',
    replace: '',
    caughtBy: DURABILITY,
  },
  {
    name: 'the directory is not synced when the log rolls',
    violates: 'R1, I1',
    file: 'src/wal/segment-file.ts',
    find: '  await disk.syncDirectory(dirname(segment.path));\n',
    replace: '  void dirname;\n',
    caughtBy: DURABILITY,
  },
  {
    name: 'a short write counts as a whole one',
    violates: 'I1, I7',
    file: 'src/wal/group-commit.ts',
    find: '    if (taken !== bytes) throw shortWrite(active.path, bytes, taken);\n',
    replace: '',
    caughtBy: LOG_TEST,
  },
  {
    name: 'a failed sync is tried again',
    violates: 'I7',
    file: 'src/wal/group-commit.ts',
    find: '    this.#poison = error;\n',
    replace: '',
    caughtBy: LOG_TEST,
  },
  {
    name: 'the verdict ignores the watermark of the log itself',
    violates: 'I11',
    file: 'src/wal/log-verdict.ts',
    find: 'Math.max(scan.durableLsn, witnessedLsn) as Lsn',
    replace: 'witnessedLsn',
    caughtBy: unit('src/wal/log-verdict.test.ts'),
  },
  {
    name: 'the verdict ignores what others witnessed',
    violates: 'I11',
    file: 'src/wal/log-verdict.ts',
    find: 'Math.max(scan.durableLsn, witnessedLsn) as Lsn',
    replace: 'scan.durableLsn',
    caughtBy: unit('src/wal/log-verdict.test.ts'),
  },
  {
    name: 'a freed segment is written before its new name is durable',
    violates: 'R9, I11',
    file: 'src/wal/log-segments.ts',
    find: '    // Before it can be written: else a crash might show a new header under the old name.\n    await disk.syncDirectory(directory);\n',
    replace: '',
    caughtBy: unit('src/wal/log-segments.test.ts'),
  },
  {
    name: 'newer segments are freed although an older one is needed',
    violates: 'R9, I8',
    file: 'src/wal/log-segments.ts',
    find: '    return Math.min(this.#active.baseLsn, ...laterBases) <= lsn;\n',
    replace: '    return laterBases.length >= 0;\n',
    caughtBy: LOG_TEST,
  },
  {
    name: 'damage below the watermark is taken for a torn tail',
    violates: 'I11',
    file: 'src/wal/log-verdict.ts',
    find: 'const isDamaged = lastLsn < durableThrough || (end',
    replace: 'const isDamaged = (end',
    caughtBy: unit('src/wal/log-verdict.test.ts'),
  },
];
