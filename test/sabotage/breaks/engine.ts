/** Receiving, batches, memory, forgetting, recovery. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const TRACKER = 'src/driver/block-tracker.ts';
const TRACKER_TEST = unit('src/driver/block-tracker.test.ts');
const RECOVERY_TEST = unit('src/driver/recovery.test.ts');
const SINK_TEST = unit('src/sinks/directory-sink.test.ts');

export const ENGINE_BREAKS: readonly Break[] = [
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
    find: '    const { lsn } = await log.append(encodeEvent(event, codec), isMirrored);\n    applyEvent(this.state, event);\n',
    replace:
      '    applyEvent(this.state, event);\n    const { lsn } = await log.append(encodeEvent(event, codec), isMirrored);\n',
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
    find: 'Math.max(gridMs, lastAllocatedMs + batchIntervalMs)',
    replace: '(lastAllocatedMs < 0 ? 0 : gridMs)',
    caughtBy: unit('src/driver/batch-generator.test.ts'),
  },
  {
    name: 'a failed batch is skipped',
    violates: 'R5, I1',
    file: 'src/driver/batch-scheduler.ts',
    find: "    this.#state = 'failed';\n    this.#waiting.length = 0;\n",
    replace: '',
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
    find: '  for (const { share } of state.batches.values()) yield* blocksOf(share);\n',
    replace:
      '  for (const { share, isDone } of state.batches.values()) {\n    if (!isDone) yield* blocksOf(share);\n  }\n',
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
    find: '      carryOver: await readRecords(input.disk, driverLog.verdict.suspects),\n',
    replace: '      carryOver: [],\n',
    caughtBy: RECOVERY_TEST,
  },
  {
    name: 'blocks of store(record) that the driver does not know are dropped',
    violates: 'Recover',
    file: 'src/driver/orphans.ts',
    find: '({ meta }) => meta.isBuffered && meta.blockId',
    replace: '({ meta }) => !meta.isBuffered && meta.blockId',
    caughtBy: RECOVERY_TEST,
  },
  {
    name: 'orphans that an earlier recovery dropped are adopted',
    violates: 'Recover, I6',
    file: 'src/driver/orphans.ts',
    find: ' && meta.blockId.incarnation.epoch === checkpoint?.receiversEpoch,',
    replace: ' && meta.blockId.incarnation.epoch <= (checkpoint?.receiversEpoch ?? 0),',
    caughtBy: RECOVERY_TEST,
  },
  {
    name: 'damage is not refused',
    violates: 'I11',
    file: 'src/driver/examination-damage.ts',
    find: '  if (problems.length === 0) return;\n',
    replace: '  if (problems.length >= 0) return;\n',
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
    find: "if (outcome === 'locked' && isInPlace(",
    replace: "if (outcome !== 'unsupported' && isInPlace(",
    caughtBy: unit('src/driver/directory-lock.test.ts'),
  },
  // ── Once more, seen from outside: kills of a real process ──
  {
    name: 'the allocation is not logged (seen by kills)',
    violates: 'R4, I5',
    file: TRACKER,
    find: "    await this.#logAndApply({ type: 'batch-allocated', share });\n",
    replace: "    applyEvent(this.state, { type: 'batch-allocated', share });\n",
    caughtBy: {
      project: 'crash',
      file: 'test/crash/protocol-steps.test.ts',
      test: 'of which no checkpoint knows',
    },
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
  {
    name: 'a disk that fails when a dead thread is replaced is told as a failure of the receiver',
    violates: 'I7: the exit code says what it was',
    file: 'src/driver/receiver-tracker.ts',
    find: "return cause instanceof MillraceError && cause.class === 'fatal'",
    replace: "return cause instanceof MillraceError && cause.class === 'usage'",
    caughtBy: unit('src/driver/receiver-replacement.test.ts', 'a successor that cannot start'),
  },
];
