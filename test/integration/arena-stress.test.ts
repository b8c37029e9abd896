/** The arena under real threads: no extent has two owners, nothing is lost, nobody waits for ever.
 * @module */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { BlockArena } from '../../src/blocks/block-arena.ts';

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
