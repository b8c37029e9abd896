/** The log on a simulated disk: power cuts, faults, recoveries that are cut off. @module */
import { unit, sim } from './break.ts';
import type { Break } from './break.ts';

const TRACKER = 'src/driver/block-tracker.ts';
const DURABILITY = sim('test/sim/wal-durability.test.ts', 'gives back what it acknowledged');
const CRASH_STATES = sim('test/sim/crash-states.test.ts', 'in front of any disk call');
const ERROR_SWEEP = sim('test/sim/error-sweep.test.ts', 'costs the log nothing');
const RECOVERY_SWEEP = sim('test/sim/error-sweep.test.ts', 'of a recovery costs');
const HOME_SWEEP = sim('test/sim/error-sweep.test.ts', 'costs a checkpoint directory nothing');
const HOME_CUTS = sim('test/sim/home-crashes.test.ts', 'drop-all');

export const SIMULATED_DISK_BREAKS: readonly Break[] = [
  // ── The log on a simulated disk: power cuts, faults, recoveries that are cut off ──
  {
    name: 'records of an earlier use of a segment pass (no salt)',
    violates: 'I3',
    file: 'src/wal/record-header.ts',
    find: '  return (salt ^ (offsetBytes / RECORD_ALIGN_BYTES)) >>> 0;\n',
    replace: '  return (salt & 0) ^ (offsetBytes / RECORD_ALIGN_BYTES);\n',
    caughtBy: unit('src/wal/record-header.test.ts'),
  },
  {
    name: 'a segment is left before it is synced',
    violates: 'R1, I11',
    file: 'src/wal/group-commit.ts',
    find: '    if (this.#durableLsn < this.#lastLsn) await this.#sync();\n    if (!(await this.#segments.roll',
    replace: '    if (!(await this.#segments.roll',
    caughtBy: DURABILITY,
  },
  {
    name: 'a segment gets its name before its header is synced',
    violates: 'R1, I11',
    file: 'src/wal/segment-file.ts',
    find: '  await segment.file.sync();\n',
    replace: '',
    caughtBy: CRASH_STATES,
  },
  {
    name: 'records say that their own group is durable',
    violates: 'I11',
    file: 'src/wal/group-commit.ts',
    find: '      durableLsn: this.#durableLsn,\n    };\n    const { views',
    replace: '      durableLsn: (this.#lastLsn + group.length) as Lsn,\n    };\n    const { views',
    caughtBy: CRASH_STATES,
  },
  {
    name: 'a failed sync is followed by another try',
    violates: 'I7',
    file: 'src/wal/group-commit.ts',
    find: '    await this.#segments.active.file.sync();\n',
    replace:
      '    await this.#segments.active.file.sync().catch(() => this.#segments.active.file.sync());\n',
    caughtBy: ERROR_SWEEP,
  },
  {
    name: 'a short write counts as a whole one (seen by the error sweep)',
    violates: 'I1, I7',
    file: 'src/wal/group-commit.ts',
    find: '    if (taken !== bytes) throw shortWrite(active.path, bytes, taken);\n',
    replace: '',
    caughtBy: ERROR_SWEEP,
  },
  {
    name: 'a short write of a segment header counts as a whole one',
    violates: 'I1, I11',
    file: 'src/wal/segment-file.ts',
    find: '  if (taken !== SEGMENT_HEADER_BYTES) throw shortWrite',
    replace: '  if (taken < 0) throw shortWrite',
    caughtBy: ERROR_SWEEP,
  },
  {
    name: 'a short write of records that are carried over counts as a whole one',
    violates: 'I1, I6',
    file: 'src/wal/carry-over.ts',
    find: '    if (taken !== bytes) throw shortWrite',
    replace: '    if (taken < 0) throw shortWrite',
    caughtBy: RECOVERY_SWEEP,
  },
  {
    name: 'a spare that is too short is used',
    violates: 'I11',
    file: 'src/wal/spare-pool.ts',
    find: '      at += whole;\n',
    replace: '      at += length;\n',
    caughtBy: unit('src/wal/spare-pool.test.ts'),
  },
  {
    name: 'suspects are believed from the page cache',
    violates: 'Recover, I1',
    file: 'src/wal/log-verdict.ts',
    find: '  const suspects = scan.unwitnessed.filter(({ lsn }) => lsn > durableThrough);\n',
    replace:
      "  const suspects: LogVerdict['suspects'] = [];\n  common.nextBaseLsn = (lastLsn + 1) as Lsn;\n",
    caughtBy: DURABILITY,
  },
  {
    name: 'what a later segment replaces counts all the same',
    violates: 'I3, I4',
    file: 'src/wal/live-segments.ts',
    find: '    lastLsnMax = baseLsn - 1;\n',
    replace: '',
    caughtBy: DURABILITY,
  },
  {
    name: 'segments leave newest first',
    violates: 'R9, I4',
    file: 'src/wal/log-segments.ts',
    find: '      const oldest = this.#sealed.shift();\n',
    replace: '      const oldest = this.#sealed.pop();\n',
    caughtBy: DURABILITY,
  },
  {
    name: 'the removal of one segment is not durable before the next',
    violates: 'R9, I4',
    file: 'src/wal/log-segments.ts',
    find: '      await disk.unlink(segment.path);\n      await disk.syncDirectory(directory);\n',
    replace: '      await disk.unlink(segment.path);\n',
    caughtBy: DURABILITY,
  },
  {
    name: 'a checkpoint is written under its own name',
    violates: 'R7',
    file: 'src/checkpoint/replace-file.ts',
    find: '    await writeDurably(disk, temporaryPath, views);\n    await disk.rename(temporaryPath, path);\n',
    replace: '    await writeDurably(disk, path, views);\n',
    caughtBy: CRASH_STATES,
  },
  {
    name: 'a checkpoint gets its name before its content is synced (seen by crash states)',
    violates: 'R7',
    file: 'src/checkpoint/replace-file.ts',
    find: '    await file.syncAll();\n',
    replace: '',
    caughtBy: CRASH_STATES,
  },
  {
    name: 'the checksum of a payload is not looked at (seen by crash states)',
    violates: 'I3, I11',
    file: 'src/wal/segment-scan.ts',
    find: '    if (crc32(payload) !== header.payloadCrc) return false;\n',
    replace: '    if (crc32(payload) < 0) return false;\n',
    caughtBy: CRASH_STATES,
  },
  {
    name: 'a file that cannot be made or removed ends the start with no code',
    violates: 'exit classes',
    file: 'src/wal/spare-pool.ts',
    find: '      throw new MillraceError(\n        code,\n',
    replace: '      throw new Error(\n',
    caughtBy: ERROR_SWEEP,
  },
  {
    name: 'events that nobody witnessed are not written again (seen by cut starts)',
    violates: 'Recover, I6',
    file: 'src/driver/recovery.ts',
    find: '      carryOver: await readRecords(input.disk, driverLog.verdict.suspects),\n',
    replace: '      carryOver: [],\n',
    caughtBy: HOME_CUTS,
  },
  {
    name: 'a block is registered before its event is synced (seen by the error sweep)',
    violates: 'R2, I1',
    file: TRACKER,
    find: '    const { lsn } = await log.append(encodeEvent(event, codec), isMirrored);\n    applyEvent(this.state, event);\n    this.#appliedLsn = lsn;\n',
    replace:
      '    log.append(encodeEvent(event, codec), isMirrored).then(({ lsn }) => (this.#appliedLsn = lsn), () => {});\n    applyEvent(this.state, event);\n',
    caughtBy: HOME_SWEEP,
  },
];
