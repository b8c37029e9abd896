/** Deliberate breaks of what the engine promises, and the test that has to notice each.
 *
 * A break is a change of one place in src/ that a hurried reader might let pass; most are errors
 * that other systems really had. `find` has to occur exactly once: when code changes, this list
 * has to change with it. @module */

export interface Break {
  /** What is no longer done, or done too early. */
  readonly name: string;
  /** Rule or invariant of docs/ARCHITECTURE.md. */
  readonly violates: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly caughtBy: Catcher;
}

export interface Catcher {
  readonly project: 'unit' | 'sim' | 'integration' | 'crash';
  readonly file: string;
  /** Part of the tests' full names; absent: all of the file. */
  readonly test?: string;
}

function unit(file: string, test?: string): Catcher {
  return { project: 'unit', file, ...(test === undefined ? {} : { test }) };
}

function sim(file: string, test: string): Catcher {
  return { project: 'sim', file, test };
}

const TRACKER = 'src/driver/block-tracker.ts';
const TRACKER_TEST = unit('src/driver/block-tracker.test.ts');
const LOG_TEST = unit('src/wal/write-ahead-log.test.ts');
const DURABILITY = sim('test/sim/wal-durability.test.ts', 'gives back what it acknowledged');
const CRASH_STATES = sim('test/sim/crash-states.test.ts', 'in front of any disk call');
const ERROR_SWEEP = sim('test/sim/error-sweep.test.ts', 'costs the log nothing');
const RECOVERY_SWEEP = sim('test/sim/error-sweep.test.ts', 'of a recovery costs');
const HOME_SWEEP = sim('test/sim/error-sweep.test.ts', 'costs a checkpoint directory nothing');
const HOME_CUTS = sim('test/sim/home-crashes.test.ts', 'journal');
const RECOVERY_TEST = unit('src/driver/recovery.test.ts');
const DISK_THREAD_TEST: Catcher = {
  project: 'integration',
  file: 'test/integration/disk-thread.test.ts',
};
const DRIVER_CORRUPTION = 'test/sim/wal-corruption-driver.test.ts';
const RECEIVER_CORRUPTION = 'test/sim/wal-corruption-receiver.test.ts';
const SINK_TEST = unit('src/sinks/directory-sink.test.ts');

export const BREAKS: readonly Break[] = [
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
  // ── Receiving: R1 to R3, I1, I2 ──
  {
    name: 'a source is acknowledged when its block is logged, not when it is registered',
    violates: 'R3, I1',
    file: 'src/workers/block-pusher.ts',
    find: '      this.#waiting.push({ announcement: { info, bytes }, resolve, reject });\n',
    replace:
      "      resolve({ kind: 'added' });\n      this.#waiting.push({ announcement: { info, bytes }, resolve, reject });\n",
    caughtBy: unit('src/workers/block-pusher.test.ts'),
  },
  {
    name: 'a block is announced before it is in the log',
    violates: 'R1, I1',
    file: 'src/workers/block-pusher.ts',
    find: '    const at = await log.wal.appendSlot(slot, payloadBytes, payloadCrc);\n',
    replace:
      '    void log.wal.appendSlot(slot, payloadBytes, payloadCrc).catch(() => undefined);\n    const at = { lsn: 1 as never, segmentSeq: 1, offsetBytes: 0 };\n',
    caughtBy: unit('src/workers/block-pusher.test.ts'),
  },
  {
    name: 'a block is registered before its event is logged',
    violates: 'R2, I1',
    file: TRACKER,
    find: '    const { lsn } = await log.append(encodeEvent(event, codec));\n    applyEvent(this.state, event);\n',
    replace:
      '    applyEvent(this.state, event);\n    const { lsn } = await log.append(encodeEvent(event, codec));\n',
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'a known idempotency key is taken again',
    violates: 'R2, I2',
    file: TRACKER,
    find: '      if (isKnown || pendingIds?.has(key)) return',
    replace: '      if (!isKnown && pendingIds?.has(key)) return',
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'two deliveries of a key that cross are both taken',
    violates: 'R2, I2',
    file: TRACKER,
    find: '      if (isKnown || pendingIds?.has(key)) return',
    replace: '      if (isKnown) return',
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'positions may leave a gap',
    violates: 'R2, I1',
    file: TRACKER,
    find: '      if (merged !== follows) {\n',
    replace: '      if (merged === undefined) {\n',
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'a block of an earlier life is taken',
    violates: 'R1, I2',
    file: TRACKER,
    find: '    if (!this.#options.isCurrent(block.blockId)) {\n',
    replace: '    if (block.recordCount < 0) {\n',
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'idempotency keys are not in the checkpoint',
    violates: 'R7, I2',
    file: 'src/driver/checkpoint-content.ts',
    find: '    sourceIds: [...state.sourceIds].map(',
    replace: '    sourceIds: [...state.sourceIds].slice(0, 0).map(',
    caughtBy: unit('src/driver/checkpoint-content.test.ts'),
  },
  // ── Batches: R4 to R6, I2, I5 ──
  {
    name: 'the allocation is not logged',
    violates: 'R4, I5',
    file: TRACKER,
    find: "    await this.#logAndApply({ type: 'batch-allocated', share });\n",
    replace: "    applyEvent(this.state, { type: 'batch-allocated', share });\n",
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'the queues are cleared before the allocation is logged',
    violates: 'R4, I1',
    file: TRACKER,
    find: "    reached('R4.before');\n",
    replace:
      "    reached('R4.before');\n    for (const queue of this.state.queues.values()) queue.length = 0;\n",
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'the whole queue is cleared when a batch takes its share',
    violates: 'R4, I1',
    file: 'src/driver/tracker-state.ts',
    find: '    queue.length - rest.length === taken.size,\n',
    replace: '    (rest.length = 0) === 0,\n',
    caughtBy: TRACKER_TEST,
  },
  {
    name: 'a clock that jumps back repeats a batch time',
    violates: 'R4, I5',
    file: 'src/driver/batch-generator.ts',
    find: 'return Math.max(gridMs, tracker.state.lastAllocatedMs + batchIntervalMs) as BatchTimeMs;',
    replace: 'return (tracker.state.lastAllocatedMs < 0 ? 0 : gridMs) as BatchTimeMs;',
    caughtBy: unit('src/driver/batch-generator.test.ts'),
  },
  {
    name: 'a failed batch is skipped',
    violates: 'R5, I1',
    file: 'src/driver/batch-scheduler.ts',
    find: '        this.#options.onFailed(toError(error));\n        break;\n',
    replace: "        this.#options.onFailed(toError(error));\n        this.#state = 'running';\n",
    caughtBy: unit('src/driver/batch-scheduler.test.ts'),
  },
  {
    name: 'an output directory gets its name before _SUCCESS is in it',
    violates: 'R6, I2',
    file: 'src/sinks/directory-sink.ts',
    find: "      await writeSuccess(paths.temporary, { ...batch, records });\n      await syncDirectory(paths.temporary);\n      reached('R6.before');\n      await rename(paths.temporary, paths.final);\n",
    replace:
      "      await rename(paths.temporary, paths.final);\n      reached('R6.before');\n      await writeSuccess(paths.final, { ...batch, records });\n",
    caughtBy: { project: 'crash', file: 'test/crash/protocol-steps.test.ts', test: 'R6' },
  },
  {
    name: 'a batch that is in its sink already is written again',
    violates: 'R6, I2',
    file: 'src/sinks/directory-sink.ts',
    find: "        return 'already-committed';\n",
    replace: '        await rm(paths.final, { recursive: true });\n',
    caughtBy: SINK_TEST,
  },
  {
    name: 'output of another log is taken for ours',
    violates: 'R6, I2',
    file: 'src/sinks/directory-sink.ts',
    find: '  if (found.logId !== batch.logId) {\n',
    replace: '  if (found.logId === undefined) {\n',
    caughtBy: SINK_TEST,
  },
  {
    name: 'an output directory is published without _SUCCESS',
    violates: 'R6, I2',
    file: 'src/sinks/directory-sink.ts',
    find: '      await writeSuccess(paths.temporary, { ...batch, records });\n',
    replace: '',
    caughtBy: SINK_TEST,
  },
  // ── Memory: I8 ──
  {
    name: 'memory of registered blocks is given back when their thread dies',
    violates: 'I8',
    file: 'src/driver/receiver-tracker.ts',
    find: 'arena.reclaim(executor.arenaOwner, memory.references());',
    replace: 'arena.reclaim(executor.arenaOwner, new Map(memory.references().size < 0 ? [] : []));',
    caughtBy: unit('src/driver/receiver-tracker.test.ts'),
  },
  {
    name: 'announcements that come after their thread’s end are taken',
    violates: 'R1, I8',
    file: 'src/driver/receiver-tracker.ts',
    find: '    for (const place of executor.places) this.#lives.delete(placeKey(place));\n    await Promise.allSettled(executor.adds);\n',
    replace:
      '    await Promise.allSettled(executor.adds);\n    for (const place of executor.places) this.#lives.delete(placeKey(place));\n',
    caughtBy: unit('src/driver/receiver-tracker.test.ts'),
  },
  {
    name: 'an extent is free when its first block is',
    violates: 'I8',
    file: 'src/blocks/block-arena.ts',
    find: '    if (before === 1) this.#free(index);\n',
    replace:
      '    if (before > 0 && Atomics.exchange(this.#table, refsCell(index), 0) >= 0) this.#free(index);\n',
    caughtBy: unit('src/blocks/block-arena.test.ts'),
  },
  // ── Forgetting: R7 to R9, I8 ──
  {
    name: 'a checkpoint’s name is not made durable',
    violates: 'R7',
    file: 'src/checkpoint/replace-file.ts',
    find: '  await disk.syncDirectory(directory);\n',
    replace: '',
    caughtBy: unit('src/checkpoint/checkpoint-store.test.ts'),
  },
  {
    name: 'what only the newest checkpoint can do without is forgotten',
    violates: 'R8',
    file: 'src/driver/checkpointer.ts',
    find: '    const [oldest] = this.#kept;\n',
    replace: '    const oldest = this.#kept.at(-1);\n',
    caughtBy: unit('src/driver/checkpointer.test.ts'),
  },
  {
    name: 'segments are recycled without R8',
    violates: 'R9, I8',
    file: 'src/driver/cleaning.ts',
    find: '  for (const { share } of state.batches.values()) {\n',
    replace:
      '  for (const { share, isDone } of state.batches.values()) {\n    if (isDone) continue;\n',
    caughtBy: unit('src/driver/cleaning.test.ts'),
  },
  {
    name: 'batches after an unfinished one are cleaned',
    violates: 'R8, I8',
    file: 'src/driver/cleaning.ts',
    find: 'oldestUnfinishedMs === Infinity ? state.lastAllocatedMs : oldestUnfinishedMs - 1',
    replace: 'oldestUnfinishedMs === 0 ? 0 : state.lastAllocatedMs',
    caughtBy: unit('src/driver/cleaning.test.ts'),
  },
  {
    name: 'a checkpoint gets its name before its content is synced',
    violates: 'R7',
    file: 'src/checkpoint/replace-file.ts',
    find: '    await file.syncAll();\n',
    replace: '',
    caughtBy: unit('src/checkpoint/checkpoint-store.test.ts'),
  },
  // ── Recovery: R0, I1, I6, I9, I11 ──
  {
    name: 'events that nobody witnessed are believed and not written again',
    violates: 'Recover, I6',
    file: 'src/driver/recovery.ts',
    find: '    baseLsn: verdict.nextBaseLsn,\n    carryOver: await readRecords(input.disk, verdict.suspects),\n    segmentBytes: input.driverSegmentBytes,\n',
    replace:
      '    baseLsn: verdict.nextBaseLsn,\n    carryOver: [],\n    segmentBytes: input.driverSegmentBytes,\n',
    caughtBy: RECOVERY_TEST,
  },
  {
    name: 'blocks of store(record) that the driver does not know are dropped',
    violates: 'Recover',
    file: 'src/driver/recovery.ts',
    find: '({ meta }) => meta.isBuffered && meta.blockId',
    replace: '({ meta }) => !meta.isBuffered && meta.blockId',
    caughtBy: RECOVERY_TEST,
  },
  {
    name: 'orphans that an earlier recovery dropped are adopted',
    violates: 'Recover, I6',
    file: 'src/driver/recovery.ts',
    find: ' && meta.blockId.incarnation.epoch === checkpoint?.receiversEpoch,',
    replace: ' && meta.blockId.incarnation.epoch <= (checkpoint?.receiversEpoch ?? 0),',
    caughtBy: RECOVERY_TEST,
  },
  {
    name: 'damage is not refused',
    violates: 'I11',
    file: 'src/driver/examination-damage.ts',
    find: '  if (first === undefined) return;\n',
    replace: '  if (first === undefined || problems.length > 0) return;\n',
    caughtBy: RECOVERY_TEST,
  },
  {
    name: 'receivers start before the first checkpoint',
    violates: 'R0',
    file: 'src/driver/engine.ts',
    find: '    await checkpointer?.force();\n    reached(',
    replace: '    void checkpointer;\n    reached(',
    caughtBy: {
      project: 'crash',
      file: 'test/crash/protocol-steps.test.ts',
      test: 'first records',
    },
  },
  {
    name: 'two processes may use one directory',
    violates: 'I9',
    file: 'src/driver/directory-lock.ts',
    find: "  if (outcome === 'held') throw locked(",
    replace: "  if (outcome === 'held') void locked(",
    caughtBy: unit('src/driver/directory-lock.test.ts'),
  },
  // ── Once more, seen from outside: kills of a real process ──
  {
    name: 'the allocation is not logged (seen by kills)',
    violates: 'R4, I5',
    file: TRACKER,
    find: "    await this.#logAndApply({ type: 'batch-allocated', share });\n",
    replace: "    applyEvent(this.state, { type: 'batch-allocated', share });\n",
    caughtBy: { project: 'crash', file: 'test/crash/protocol-steps.test.ts', test: 'R6' },
  },
  {
    name: 'a source is acknowledged before its block is registered (seen by kills)',
    violates: 'R3, I1',
    file: 'src/workers/block-pusher.ts',
    find: '      this.#waiting.push({ announcement: { info, bytes }, resolve, reject });\n',
    replace:
      "      resolve({ kind: 'added' });\n      this.#waiting.push({ announcement: { info, bytes }, resolve, reject });\n",
    caughtBy: { project: 'crash', file: 'test/crash/protocol-steps.test.ts', test: 'R2' },
  },
  {
    name: 'an idempotency key is forgotten with the process (seen by kills)',
    violates: 'R2, I2',
    file: 'src/driver/tracker-state.ts',
    find: '    for (const id of block.sourceIds) ids.add(id);\n',
    replace: '    void ids;\n',
    caughtBy: {
      project: 'crash',
      file: 'test/crash/protocol-steps.test.ts',
      test: 'receivers: R3',
    },
  },
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
    caughtBy: { project: 'sim', file: DRIVER_CORRUPTION, test: 'sectors of 4096' },
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
      '    this.#window.reserve(length + 4 * this.limitBytes);\n    if (at + length > this.limitBytes) return false;\n',
    caughtBy: { project: 'sim', file: RECEIVER_CORRUPTION, test: 'nothing was done' },
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
    find: '    const names = (await disk.list(directory)) ?? [];\n    const seqs',
    replace:
      '    await disk.makeDirectory(directory);\n    const names = (await disk.list(directory)) ?? [];\n    const seqs',
    caughtBy: unit('src/driver/examination.test.ts'),
  },
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
    find: '    if (this.#durableLsn < this.#lastLsn) await this.#sync();\n    await this.#segments.roll',
    replace: '    await this.#segments.roll',
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
    find: '      at += taken;\n',
    replace: '      at += length;\n',
    caughtBy: DURABILITY,
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
    find: '    carryOver: await readRecords(input.disk, verdict.suspects),\n',
    replace: '    carryOver: [],\n',
    caughtBy: HOME_CUTS,
  },
  {
    name: 'a block is registered before its event is synced (seen by the error sweep)',
    violates: 'R2, I1',
    file: TRACKER,
    find: '    const { lsn } = await log.append(encodeEvent(event, codec));\n    applyEvent(this.state, event);\n    this.#appliedLsn = lsn;\n',
    replace:
      '    log.append(encodeEvent(event, codec)).then(({ lsn }) => (this.#appliedLsn = lsn), () => {});\n    applyEvent(this.state, event);\n',
    caughtBy: HOME_SWEEP,
  },
];
