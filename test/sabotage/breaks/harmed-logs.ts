/** Harmed logs, and what is said of them. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const DRIVER_CORRUPTION = 'test/sim/wal-corruption-driver.test.ts';
const RECEIVER_CORRUPTION = 'test/sim/wal-corruption-receiver.test.ts';

export const HARMED_LOGS_BREAKS: readonly Break[] = [
  // ── Harmed logs, and what is said of them: I3, I10, I11 ──
  {
    name: 'what the device cannot read is taken for the end of the log',
    violates: 'I11',
    file: 'src/wal/log-scan.ts',
    find: '    return reader.fault === undefined ? end : unreadableEnd(segment, reader.fault);\n',
    replace: '    return reader.fault === undefined ? end : (void unreadableEnd, end);\n',
    caughtBy: unit('src/wal/log-scan.test.ts'),
  },
  {
    name: 'a header that the device cannot read ends the start with a disk error',
    violates: 'I11',
    file: 'src/wal/segment-list.ts',
    find: '    if (errno === undefined) throw thrown;\n',
    replace: '    if (errno !== path) throw thrown;\n',
    caughtBy: unit('src/driver/examination.test.ts'),
  },
  {
    name: 'the checksum of a record header is not looked at',
    violates: 'I3, I11',
    file: 'src/wal/record-header.ts',
    find: '  if (crc32(scratch, seed) !== bytes.readUInt32LE(at + 8)) return undefined;\n',
    replace: '  if (crc32(scratch, seed) < 0) return undefined;\n',
    caughtBy: { project: 'sim', file: DRIVER_CORRUPTION, test: 'sectors of 4096' },
  },
  {
    name: 'the checksum of a payload is not looked at',
    violates: 'I3, I11',
    file: 'src/wal/segment-scan.ts',
    find: '    if (crc32(payload) !== header.payloadCrc) return false;\n',
    replace: '    if (crc32(payload) < 0) return false;\n',
    caughtBy: unit('src/wal/log-scan.test.ts'),
  },
  {
    name: 'record headers are not bound to their place',
    violates: 'I3',
    file: 'src/wal/record-header.ts',
    find: '  return (salt ^ (offsetBytes / RECORD_ALIGN_BYTES)) >>> 0;\n',
    replace: '  return offsetBytes < 0 ? RECORD_ALIGN_BYTES : salt;\n',
    caughtBy: unit('src/wal/record-header.test.ts'),
  },
  {
    name: 'memory is taken for a length before anything vouches for it',
    violates: 'I10',
    file: 'src/wal/segment-reader.ts',
    find: '    if (at + length > this.limitBytes) return false;\n',
    replace:
      '    this.#pool.take(length + 4 * this.limitBytes);\n    if (at + length > this.limitBytes) return false;\n',
    caughtBy: { project: 'sim', file: RECEIVER_CORRUPTION, test: 'nothing was done' },
  },
  {
    name: 'bytes that were lost when they were read ahead, and come back later, are trusted',
    violates: 'I11',
    file: 'src/wal/segment-reader.ts',
    find: '    this.fault ??= { fromBytes, toBytes, errno };\n',
    replace: '    void toBytes;\n',
    caughtBy: unit('src/wal/segment-reader.test.ts', 'is told also where a long record'),
  },
  {
    name: 'a file is closed while parts of it are being read',
    violates: 'I10',
    file: 'src/wal/segment-reader.ts',
    find: '      const outcome = await part.outcome;\n',
    replace: '      const outcome: unknown = part.outcome;\n',
    caughtBy: unit('src/wal/segment-reader.test.ts', 'waits for the reads'),
  },
  {
    name: 'a part that was read ahead is taken for the next one, wherever it lies',
    violates: 'I11',
    file: 'src/wal/segment-reader.ts',
    find: 'if (next?.fromBytes !== this.endBytes || !isInside)',
    replace: 'if (next === undefined || !isInside)',
    caughtBy: unit('src/wal/segment-reader.test.ts', 'on from where a part ended'),
  },
  {
    name: 'a file system that refuses direct reads at the first read is a disk that fails',
    violates: 'I10',
    file: 'src/wal/cache-bypass.ts',
    find: '        this.#buffered ??= this.#openBuffered();\n',
    replace: '        throw thrown;\n',
    caughtBy: unit('src/wal/cache-bypass.test.ts', 'refused at the first reads'),
  },
  {
    name: 'a bad record of a log with nothing behind it is an end in order',
    violates: 'I11',
    file: 'src/wal/log-scan.ts',
    find: '  findings.noteDurable(Math.min(behind?.durableLsn ?? 0, segment.lastLsnMax) as Lsn);\n',
    replace: '',
    caughtBy: { project: 'sim', file: RECEIVER_CORRUPTION, test: 'sectors of 4096' },
  },
  {
    name: 'a segment that was cut off in its unused rest passes',
    violates: 'I11',
    file: 'src/wal/log-scan.ts',
    find: 'walk.expectedLsn > segment.lastLsnMax && !isShort(segment);\n',
    replace: 'walk.expectedLsn > segment.lastLsnMax;\n',
    caughtBy: unit('src/wal/log-scan.test.ts'),
  },
  {
    name: 'any bad record is called damage, also a torn write',
    violates: 'I11',
    file: 'src/wal/log-verdict.ts',
    find: 'const isDamaged = lastLsn < durableThrough || (end',
    replace: 'const isDamaged = end?.isBroken === true || lastLsn < durableThrough || (end',
    caughtBy: { project: 'sim', file: RECEIVER_CORRUPTION, test: 'unfinished write' },
  },
  {
    name: 'blocks that batches need are not looked for',
    violates: 'I11',
    file: 'src/driver/examination.ts',
    find: '  return lost.length === 0 ? [] : [missingBlocks(scan, lost)];\n',
    replace: '  return lost.length >= 0 ? [] : [missingBlocks(scan, lost)];\n',
    caughtBy: unit('src/driver/examination.test.ts'),
  },
  {
    name: 'an event that cannot be read is skipped',
    violates: 'I11',
    file: 'src/driver/examination.ts',
    find: '      problem = malformedRecord(record, thrown);\n',
    replace: '      malformedRecord(record, thrown);\n',
    caughtBy: unit('src/driver/examination.test.ts'),
  },
  {
    name: 'what was carried over is not checked again',
    violates: 'Recover, I3',
    file: 'src/wal/scanned-record.ts',
    find: '    if (got === payloadBytes && crc32(payload) === payloadCrc) return payload;\n',
    replace:
      '    if (got === payloadBytes && crc32(payload) >= 0 && payloadCrc >= 0) return payload;\n',
    caughtBy: unit('src/wal/log-verdict.test.ts'),
  },
  {
    name: 'copies of torn tails pile up',
    violates: 'Recover',
    file: 'src/wal/torn-tail.ts',
    find: '  await removeOlder(disk, dirname(path));\n',
    replace: '  void removeOlder;\n',
    caughtBy: unit('src/wal/log-verdict.test.ts'),
  },
  {
    name: 'a start that is refused has changed the checkpoints',
    violates: 'Recover, I6',
    file: 'src/checkpoint/checkpoint-store.ts',
    find: '    const names = (await disk.list(directory)) ?? [];\n    return new',
    replace:
      '    await disk.makeDirectory(directory);\n    const names = (await disk.list(directory)) ?? [];\n    return new',
    caughtBy: unit('src/driver/examination.test.ts'),
  },
];
