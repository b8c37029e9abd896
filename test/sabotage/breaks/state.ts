/** Breaks of keyed state: what a batch changes, when it counts, and what comes back after a crash.
 * @module */
import { sim, unit } from './break.ts';
import type { Break } from './break.ts';

const LAWS = 'test/sim/state-laws.test.ts';
const SNAPSHOTS = 'src/driver/state-snapshots.test.ts';
const PARTITION = 'src/state/state-partition.test.ts';
const UPDATE = 'src/workers/state-update.test.ts';

export const STATE_BREAKS: readonly Break[] = [
  {
    name: 'a task that is tried again meets state that its first try has changed',
    violates: 'R5: a retry gives the same',
    file: 'src/driver/state-stage.ts',
    find: '    this.state.apply(operatorId, batchTimeMs, deltas);\n',
    replace:
      '    this.state.apply(operatorId, batchTimeMs, deltas.slice(0, 1).concat(deltas.slice(0, 1)));\n',
    caughtBy: sim(LAWS, 'whatever threads die'),
  },
  {
    name: 'a batch whose outputs are done does not change the state',
    violates: 'keyed state: a crash replays the batches since the snapshot',
    file: 'src/driver/batch-scheduler.ts',
    find: '    try {\n      await running.runStates();\n    } finally {',
    replace: '    try {\n      await Promise.resolve();\n    } finally {',
    caughtBy: sim(LAWS, 'after a snapshot and a replay'),
  },
  {
    name: 'a replay for the state runs the outputs too',
    violates: 'keyed state: outputs are suppressed',
    file: 'src/driver/batch-scheduler.ts',
    find: '    if (batch.isDone) return this.#replay(batch);\n',
    replace: '',
    caughtBy: sim(LAWS, 'after a snapshot and a replay'),
  },
  {
    name: 'a snapshot forgets when keys were touched',
    violates: 'keyed state: expiry fires at the batch where it is due',
    file: 'src/state/snapshot-file.ts',
    find: '    words[at / 4 + 3] = NO_ADDRESS;\n',
    replace: '    words[at / 4 + 3] = NO_ADDRESS;\n    words[at / 4 + 5] = 0;\n',
    caughtBy: sim(LAWS, 'after a snapshot and a replay'),
  },
  {
    name: 'keys stay where they were when there are other partitions',
    violates: 'keyed state: rescaling keeps state',
    file: 'src/driver/keyed-state.ts',
    find: 'isSpread: restored.partitions.length !== saved.partitions',
    replace: 'isSpread: restored.partitions.length < saved.partitions',
    caughtBy: sim(LAWS, 'after a snapshot and a replay'),
  },
  {
    name: 'a key is timed out that has a record in this batch',
    violates: 'keyed state: timeouts fire in their batch',
    file: 'src/workers/state-update.ts',
    find: '          if (cells.get(key) !== undefined) return; // its new records come before its timeout\n',
    replace: '',
    caughtBy: sim(LAWS, 'whatever threads die'),
  },
  {
    name: 'a key times out a batch late',
    violates: 'keyed state: timeouts fire in their batch',
    file: 'src/driver/keyed-state.ts',
    find: '-Infinity : batchTimeMs - timeoutMs;',
    replace: '-Infinity : batchTimeMs - timeoutMs - 1_000;',
    caughtBy: unit(UPDATE, 'in the first batch that is later'),
  },
  {
    name: 'a record that only looks at the state does not count as a touch',
    violates: 'keyed state: timeouts fire in their batch',
    file: 'src/workers/state-update.ts',
    find: '    if (exists ? !isChanged && !isTimed : address === NO_ADDRESS) return;\n',
    replace: '    if (exists ? !isChanged : address === NO_ADDRESS) return;\n',
    caughtBy: sim(LAWS, 'whatever threads die'),
  },
  {
    name: 'a timer that was due is forgotten when its key was touched since',
    violates: 'keyed state: timeouts fire in their batch',
    file: 'src/state/state-partition.ts',
    find: '      if (earliestMs !== Infinity) timers.add(hash, earliestMs);\n',
    replace: '',
    caughtBy: unit(PARTITION, 'tells which keys may be idle'),
  },
  {
    name: 'an image of the state does not hold its chunks',
    violates: 'I8',
    file: 'src/state/state-partition.ts',
    find: '    for (const chunk of chunks) if (chunk !== null) this.#pool.hold(chunk);\n',
    replace: '',
    caughtBy: unit(PARTITION, 'has after every change what a Map has'),
  },
  {
    name: 'garbage of keyed state is never given back',
    violates: 'I13',
    file: 'src/state/state-partition.ts',
    find: '    while (this.#usedBytes > 2 * this.#liveBytes + GARBAGE_BYTES_FEW) {',
    replace: '    while (this.#usedBytes < 0) {',
    caughtBy: unit(PARTITION, 'stays as large as what lives in it'),
  },
  {
    name: 'a freed slot of the index cuts off the keys behind it',
    violates: 'keyed state: every key is found',
    file: 'src/state/state-index.ts',
    find: '      if (((slot - home) & this.#mask) < ((slot - free) & this.#mask)) continue;\n',
    replace: '      if (((slot - home) & this.#mask) <= ((slot - free) & this.#mask)) continue;\n',
    caughtBy: unit('src/state/state-index.test.ts'),
  },
  {
    name: 'a checkpoint points to a snapshot whose name is not durable',
    violates: 'R7',
    file: 'src/driver/state-snapshots.ts',
    find: "    await disk.syncDirectory(this.#directory);\n    reached('state.after');\n",
    replace: "    reached('state.after');\n",
    caughtBy: unit(SNAPSHOTS, 'points to it only when'),
  },
  {
    name: 'a snapshot gets its name before it is synced',
    violates: 'R7',
    file: 'src/state/snapshot-file.ts',
    find: '  await file.syncAll();\n  return at;\n',
    replace: '  return at;\n',
    caughtBy: unit(SNAPSHOTS, 'points to it only when'),
  },
  {
    name: 'blocks are cleaned that the state has to be made of again',
    violates: 'R8',
    file: 'src/driver/cleaning.ts',
    find: '  return Math.min(doneThroughMs(state), stateThroughMs);\n',
    replace: '  return Math.min(doneThroughMs(state), Math.max(stateThroughMs, Infinity));\n',
    caughtBy: unit('src/driver/cleaning.test.ts', 'no later than what is done'),
  },
  {
    name: 'blocks of finished batches may be missing although the state needs them',
    violates: 'R8, I11',
    file: 'src/driver/examination-blocks.ts',
    find: 'const { isGivenUp = () => false, readAgain = NOTHING } = options;',
    replace:
      'const { isGivenUp = () => false } = options;\n' +
      '    const readAgain = { ...(options.readAgain ?? NOTHING), replayAfterMs: Infinity };',
    caughtBy: unit('src/driver/examination-blocks.test.ts', 'counts queued blocks'),
  },
  {
    name: 'a damaged snapshot is taken for a sound one',
    violates: 'I11',
    file: 'src/state/snapshot-file.ts',
    find: '  if (crc32(payload) !== header.readUInt32LE(24)) {\n',
    replace: '  if (crc32(payload) === -1) {\n',
    caughtBy: unit(SNAPSHOTS, 'wherever a bit of it has changed'),
  },
  {
    name: 'the newest snapshot counts although a failed one has newer changes',
    violates: 'R7, R8',
    file: 'src/driver/state-snapshots.ts',
    find: 'doneMs === undefined || this.#isBehind) return false;',
    replace: 'doneMs === undefined) return false;',
    caughtBy: unit(SNAPSHOTS, 'does not take an older one'),
  },
  {
    name: 'state of an operator that is gone is dropped in silence',
    violates: 'keyed state: every key is found',
    file: 'src/driver/restart-rules.ts',
    find: '    kept.has(id) || keyCount === 0\n',
    replace: '    kept.has(id) || keyCount > 0\n',
    caughtBy: unit('src/driver/restart-rules.test.ts', 'never dropped in silence'),
  },
];
