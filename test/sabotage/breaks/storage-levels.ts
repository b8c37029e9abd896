/** Breaks of how blocks leave memory and come back: I8, I11. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

export const STORAGE_LEVEL_BREAKS: readonly Break[] = [
  {
    name: 'a block leaves memory before it is written elsewhere',
    violates: 'I8, I1',
    file: 'src/driver/block-memory.ts',
    find: '    return spilled !== undefined || this.#isLogged(block);\n',
    replace: '    return spilled === undefined || this.#isLogged(block);\n',
    caughtBy: unit('src/driver/block-memory.test.ts', 'leave memory only when they are written'),
  },
  {
    name: 'a block leaves memory for a log that has failed',
    violates: 'I8, I1',
    file: 'src/driver/block-memory.ts',
    find: ' && this.#options.logs?.hasFailed(position.log) !== true',
    replace: '',
    caughtBy: unit('src/driver/block-memory.test.ts', 'blocks of a log that has failed'),
  },
  {
    name: 'a spilled block counts as written before it is',
    violates: 'I8, I1',
    file: 'src/driver/block-memory.ts',
    find: '      const spilled = await writing;\n',
    replace:
      '      this.#arena.drop(kept.bytes.extentIndex);\n      const spilled = await writing;\n',
    caughtBy: unit('src/driver/block-memory.test.ts', 'blocks without a log'),
  },
  {
    name: 'a block that a task reads is dropped from memory',
    violates: 'I8',
    file: 'src/driver/eviction-order.ts',
    find: 'each.mayLeave && each.pins === 0',
    replace: 'each.mayLeave',
    caughtBy: unit('src/driver/block-memory.test.ts', 'never drops a block that a task reads'),
  },
  {
    name: 'a block that a task reads is dropped from memory (seen by real threads)',
    violates: 'I8',
    file: 'src/driver/eviction-order.ts',
    find: 'each.mayLeave && each.pins === 0',
    replace: 'each.mayLeave',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/arena-stress.test.ts',
      test: 'what a task reads stays',
    },
  },
  {
    name: 'memory that an executor writes into is taken for free',
    violates: 'I8',
    file: 'src/driver/eviction-order.ts',
    find: 'references === blocks.length && ',
    replace: 'references > 0 && ',
    caughtBy: unit('src/driver/block-memory.test.ts', 'leaves alone what an executor'),
  },
  {
    name: 'a block that is read back is not checked',
    violates: 'I11',
    file: 'src/workers/block-reader.ts',
    find: 'got !== lengthBytes || crc32(payload) !== crc',
    replace: 'got !== lengthBytes && crc32(payload) !== crc',
    caughtBy: unit('src/workers/block-reader.test.ts', 'says which block is damaged'),
  },
  {
    name: 'a block in the spill file is not checked',
    violates: 'I11',
    file: 'src/workers/block-reader.ts',
    find: 'got === lengthBytes && crc32(bin) === crc',
    replace: 'got === lengthBytes || crc32(bin) === crc',
    caughtBy: unit('src/workers/block-reader.test.ts', 'of the spill file'),
  },
  {
    name: 'a segment is recycled while a block that left memory waits in it',
    violates: 'R9, I8',
    file: 'src/driver/cleaning.ts',
    find: '  for (const { share } of state.batches.values()) yield* blocksOf(share);\n',
    replace:
      '  for (const { share, isDone } of state.batches.values()) {\n    if (isDone) yield* blocksOf(share);\n  }\n',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/storage-levels.test.ts',
      test: 'segments are recycled',
    },
  },
  {
    name: 'level memory lets go what was read, although another output reads it too',
    violates: 'a block of level memory is read back only when a task is tried again',
    file: 'src/driver/block-memory.ts',
    find: 'this.#options.isReadOnce === true && this.#isLogged(kept.block)',
    replace: 'this.#isLogged(kept.block)',
    caughtBy: unit('src/driver/block-memory.test.ts', 'when another output reads it too'),
  },
  {
    name: 'freed segments beyond two are removed and made again',
    violates: 'a disk writes each byte of the log once, not twice',
    file: 'src/wal/spare-pool.ts',
    find: '    return this.#ready.length < this.#options.sparesMin + this.#demand;\n',
    replace: '    return this.#ready.length < this.#options.sparesMin + 1;\n',
    caughtBy: unit('src/wal/spare-pool.test.ts', 'none is made again'),
  },
  {
    name: 'spares of one large batch are kept for ever',
    violates: 'a directory is as large as it has to be',
    file: 'src/wal/spare-pool.ts',
    find: 'Math.floor(this.#demand * DEMAND_KEPT)',
    replace: 'this.#demand',
    caughtBy: unit('src/wal/spare-pool.test.ts', 'by and by'),
  },
];
