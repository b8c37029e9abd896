/** The arena under real threads: no extent has two owners, nothing is lost, nobody waits for ever.
 * @module */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { BlockArena } from '../../src/blocks/block-arena.ts';
import type { BlockInfo, BlockRef } from '../../src/blocks/block-ref.ts';
import { seededRandom, systemRandom } from '../../src/core/random.ts';
import { BlockMemory } from '../../src/driver/block-memory.ts';
import { blockOf } from '../support/block-samples.ts';

const EXTENT = 64 * 1024;
const ROUNDS = 20_000;
const OWNERS = [1, 2, 3];

const ARENA_MODULE = new URL('../../dist/blocks/block-arena.js', import.meta.url).href;

/** Takes, marks, checks and drops runs of extents, until it has done its rounds, and until one of all
 * the threads has found no room: on one processor they may run one after the other. */
const WORKER = `
  import { parentPort, workerData } from 'node:worker_threads';
  import { BlockArena } from ${JSON.stringify(ARENA_MODULE)};
  const { handle, owner, rounds, fights } = workerData;
  // A thread that does nothing but wait for room ends: Atomics.waitAsync does not keep it alive.
  parentPort.on('message', () => {});
  const arena = BlockArena.attach(handle);
  const held = [];
  let clashes = 0;
  let waits = 0;
  const marks = ({ index, extents }) =>
    Array.from({ length: extents }, (_, i) => (index + i) * handle.extentBytes);
  const drop = (run) => {
    for (const at of marks(run)) if (arena.bytes[at] !== owner) clashes += 1;
    for (let i = 0; i < run.references; i += 1) arena.drop(run.index);
  };
  for (let round = 0; round < rounds || Atomics.load(fights, 0) === 0; round += 1) {
    const extents = 1 + ((round * 7 + owner) % 3);
    const seen = arena.generation();
    const index = arena.acquire('receivers', owner, extents);
    if (index === undefined) {
      waits += 1;
      Atomics.store(fights, 0, 1);
      if (held.length > 0) drop(held.shift());
      else await arena.waitForRoom(seen, 200);
      continue;
    }
    const run = { index, extents, references: 1 + (round % 2) };
    for (const at of marks(run)) arena.bytes[at] = owner;
    if (run.references === 2) arena.hold(index);
    held.push(run);
    if (held.length > 3) drop(held.splice(round % held.length, 1)[0]);
  }
  for (const run of held) drop(run);
  parentPort.postMessage({ clashes, waits });
  parentPort.close();
`;

interface Verdict {
  readonly clashes: number;
  readonly waits: number;
}

function work(arena: BlockArena, owner: number, fights: Int32Array): Promise<Verdict> {
  const source = new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`);
  const workerData = { handle: arena.handle, owner, rounds: ROUNDS, fights };
  const worker = new Worker(source, { workerData });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread ended with code ${code}`)));
  });
}

it('threads that take and drop extents never meet in one', async () => {
  const arena = BlockArena.create(16 * EXTENT);
  const fights = new Int32Array(new SharedArrayBuffer(4));
  const verdicts = await Promise.all(OWNERS.map((owner) => work(arena, owner, fights)));
  expect(verdicts.map(({ clashes }) => clashes)).toEqual([0, 0, 0]);
  expect(verdicts.some(({ waits }) => waits > 0)).toBe(true); // there was something to fight over
  expect(arena.usedExtents('receivers')).toBe(0);
});

it('a thread that is killed anywhere leaves an arena that is whole', async () => {
  const arena = BlockArena.create(16 * EXTENT);
  for (const owner of OWNERS) {
    const source = new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`);
    const fights = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { handle: arena.handle, owner, rounds: Number.POSITIVE_INFINITY, fights };
    const worker = new Worker(source, { workerData });
    const seen = arena.generation();
    await arena.waitForRoom(seen, 10_000); // it is at work
    await worker.terminate();
    arena.reclaim(owner, new Map());
    expect(arena.usedExtents('receivers')).toBe(0);
  }
});

const SEED = Number(process.env['MILLRACE_SEED'] ?? Math.floor(systemRandom.next() * 1e9));

/** Fills runs of extents with a mark of their own and hands each on: from then on it is not this
 * thread's. Never waits for the driver, only for room. */
const FILLER = `
  import { parentPort, workerData } from 'node:worker_threads';
  import { BlockArena } from ${JSON.stringify(ARENA_MODULE)};
  const { handle, owner, rounds } = workerData;
  parentPort.on('message', () => {});
  const arena = BlockArena.attach(handle);
  for (let round = 0; round < rounds; round += 1) {
    const extents = 1 + ((round * 7 + owner) % 3);
    let index;
    for (;;) {
      const seen = arena.generation();
      index = arena.acquire('receivers', owner, extents);
      if (index !== undefined) break;
      await arena.waitForRoom(seen, 200);
    }
    const from = index * handle.extentBytes;
    const mark = (owner * 31 + round) % 251;
    arena.bytes.fill(mark, from, from + extents * handle.extentBytes);
    parentPort.postMessage({ index, extents, mark, seq: round });
  }
  parentPort.postMessage('done');
  parentPort.close();
`;

interface Filled {
  readonly index: number;
  readonly extents: number;
  readonly mark: number;
  readonly seq: number;
}

it(`what a task reads stays while blocks come and go (MILLRACE_SEED=${SEED})`, async () => {
  const random = seededRandom(SEED);
  const arena = BlockArena.create(64 * EXTENT);
  const memory = new BlockMemory(arena, {
    logs: { directoryOf: (log) => `/engine/${log}`, hasFailed: () => false },
    lastLsn: new Map(),
    levelOf: () => 'memory-and-disk',
  });
  const serving = memory.serveDemand();
  const blocks: BlockInfo[] = [];
  const pinned: { readonly ref: BlockRef; readonly mark: number }[] = [];
  const marks = new Map<string, number>();
  let wrong = 0;
  let readBack = 0;

  function release(): void {
    const [read] = pinned.splice(Math.floor(random.next() * pinned.length), 1);
    if (read === undefined || read.ref.bytes.kind !== 'arena') return;
    const { offsetBytes, lengthBytes } = read.ref.bytes;
    const bytes = arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
    if (bytes.some((byte) => byte !== read.mark)) wrong += 1;
    memory.unpin([read.ref]);
  }

  function take(owner: number, { index, extents, mark, seq }: Filled): void {
    const block = blockOf(seq, { receiverIndex: owner, lsn: seq + 1 });
    const place = { extentIndex: index, offsetBytes: index * EXTENT };
    memory.keep(block, { kind: 'arena', ...place, lengthBytes: extents * EXTENT });
    blocks.push(block);
    marks.set(`${owner}/${seq}`, mark);
    const some = blocks[Math.floor(random.next() * blocks.length)] as BlockInfo;
    const ref = memory.pin(some);
    const { receiverIndex, seq: someSeq } = some.blockId;
    if (ref?.bytes.kind === 'log') readBack += 1;
    else if (ref !== undefined) {
      pinned.push({ ref, mark: marks.get(`${receiverIndex}/${someSeq}`) ?? -1 });
    }
    while (pinned.length > 6) release();
  }

  const source = new URL(`data:text/javascript,${encodeURIComponent(FILLER)}`);
  await Promise.all(
    OWNERS.map(
      (owner) =>
        new Promise<void>((resolve, reject) => {
          const workerData = { handle: arena.handle, owner, rounds: 1_000 };
          const worker = new Worker(source, { workerData });
          worker.on('message', (message: Filled | 'done') => {
            if (message === 'done') return resolve();
            return take(owner, message);
          });
          worker.once('error', reject);
        }),
    ),
  );
  while (pinned.length > 0) release();
  for (const block of blocks) memory.free(block);
  await memory.close();
  await serving;
  expect({ blocks: blocks.length, wrong }).toEqual({ blocks: 3_000, wrong: 0 });
  expect(readBack).toBeGreaterThan(0);
  expect([arena.usedExtents('receivers'), memory.bytesOnDisk]).toEqual([0, 0]);
});
