/** Reads the leaf of a task and pushes its records. The only asynchronous part of most tasks.
 * @module */
import { assert, present } from '../core/assert.ts';
import { readsShuffle } from '../dstream/graph.ts';
import type { KindOf, OperatorKind } from '../dstream/graph.ts';
import type { Leaf } from '../dstream/task-spec.ts';
import { StateReader } from '../state/state-reader.ts';
import { readPiece } from './shuffle-piece.ts';
import { reduceShuffle } from './shuffle-reduce.ts';
import { compileChain } from './stage-chain.ts';
import type { Push, TaskEnvironment } from './task-environment.ts';

/** Pushes every record of the leaf, in order. @returns how many it read. */
export async function readLeaf(leaf: Leaf, env: TaskEnvironment, push: Push): Promise<number> {
  switch (leaf.kind) {
    case 'blocks':
      return readBlocks(leaf, env, push);
    case 'files':
      return readFiles(leaf, env, push);
    case 'queue':
      return readQueue(leaf, env, push);
    case 'shuffle':
      return readShuffle(leaf, env, push);
    case 'parts':
      return readParts(leaf, env, push);
    case 'state-output':
      return readOutput(leaf, env, push);
    case 'state':
      return readState(leaf, env, push);
  }
}

/** How many records the leaf has, where that is known without reading it. */
export function knownRecordCount(leaf: Leaf): number | undefined {
  if (leaf.kind === 'parts') {
    let sum = 0;
    for (const part of leaf.parts) {
      const count = part.via.length === 0 ? knownRecordCount(part.leaf) : undefined;
      if (count === undefined) return undefined;
      sum += count;
    }
    return sum;
  }
  if (leaf.kind !== 'blocks') return undefined;
  return leaf.blocks.reduce((sum, block) => sum + block.recordCount, 0);
}

type LeafOf<K extends Leaf['kind']> = Leaf & { readonly kind: K };

async function readBlocks(
  { blocks }: LeafOf<'blocks'>,
  env: TaskEnvironment,
  push: Push,
): Promise<number> {
  let count = 0;
  for (const [index, ref] of blocks.entries()) {
    const records = await env.readBlock(ref, blocks[index + 1]);
    records.forEach(push);
    count += records.count;
  }
  return count;
}

async function readFiles(
  { files }: LeafOf<'files'>,
  env: TaskEnvironment,
  push: Push,
): Promise<number> {
  let count = 0;
  for (const share of files) {
    for await (const lines of env.readFile(share)) {
      for (const line of lines) push(line);
      count += lines.length;
    }
  }
  return count;
}

function readQueue(
  { streamId, queueIndex, slice, slices }: LeafOf<'queue'>,
  env: TaskEnvironment,
  push: Push,
): number {
  const { batches } = env.graph.node(streamId);
  const records = present(batches, `the queue of ${streamId}`)[queueIndex] ?? [];
  let count = 0;
  for (let i = slice; i < records.length; i += slices) {
    push(records[i]);
    count += 1;
  }
  return count;
}

function readShuffle(
  { operatorId, inputs }: LeafOf<'shuffle'>,
  env: TaskEnvironment,
  push: Push,
): number {
  const node = env.graph.node(operatorId);
  const pieces = inputs.map((input) => input.pieces.map((piece) => env.readShared(piece)));
  return reduceShuffle({ node, inputs: pieces, codec: env.codec }, shuffleKind(node.kind), push);
}

/** Each part has its own chain: what came before the window saw one partition at a time. */
async function readParts(
  { parts }: LeafOf<'parts'>,
  env: TaskEnvironment,
  push: Push,
): Promise<number> {
  let count = 0;
  for (const { leaf, via } of parts) {
    const chain = compileChain(
      via.map((id) => env.graph.node(id)),
      push,
    );
    count += await readLeaf(leaf, env, chain.push);
    chain.end();
  }
  return count;
}

function readOutput({ piece }: LeafOf<'state-output'>, env: TaskEnvironment, push: Push): number {
  let count = 0;
  readPiece(env.readShared(piece), env.codec, (items) => {
    for (const item of items) push(item);
    count += items.length;
  });
  return count;
}

function readState({ store }: LeafOf<'state'>, env: TaskEnvironment, push: Push): number {
  const reader = new StateReader(store);
  const { codec } = env;
  let count = 0;
  reader.forEach((address) => {
    push([codec.unpack(reader.keyOf(address)), codec.unpack(reader.valueOf(address))]);
    count += 1;
  });
  return count;
}

/** The kind of an operator that the plan takes for a shuffle. */
export function shuffleKind(kind: OperatorKind): KindOf<'shuffle' | 'state'> {
  assert(readsShuffle(kind), `${kind} reads no shuffle`);
  return kind;
}
