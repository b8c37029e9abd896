/** @module */
import { expect, it } from 'vitest';
import { batchOf, blockOf, shareOf } from '../../test/support/block-samples.ts';
import type { StreamId } from '../core/ids.ts';
import type { BlockInfo } from '../blocks/block-ref.ts';
import { RememberedBlocks } from './remembered-blocks.ts';

/** Notes what becomes of each block, by its seq. */
function blocksOf(reachMs: number) {
  const said: string[] = [];
  const say = (what: string, { blockId }: BlockInfo): number => said.push(`${what} ${blockId.seq}`);
  const memory = {
    free: (block: BlockInfo) => void say('free', block),
    letGo: (blocks: Iterable<BlockInfo>) => {
      for (const block of blocks) say('let go', block);
    },
  };
  const held = { forgotten: (timeMs: number) => void said.push(`forgotten ${timeMs}`) };
  return { said, blocks: new RememberedBlocks(memory, reachMs, held) };
}

it('frees blocks with their batch when there are no windows', () => {
  const { said, blocks } = blocksOf(0);
  blocks.done(shareOf(1_000, [blockOf(1), blockOf(2)]));
  expect(said).toEqual(['forgotten 1000', 'free 1', 'free 2']);
  blocks.done(shareOf(2_000, [blockOf(3)]));
  expect(said.slice(3)).toEqual(['forgotten 2000', 'free 3']);
});

it('keeps them for as long as the window of a later batch may look at theirs', () => {
  const { said, blocks } = blocksOf(2_000); // three batches
  const queue = { kind: 'queue', streamId: 'q' as StreamId, queueIndex: 0, slices: 1 } as const;
  blocks.done(shareOf(1_000, [blockOf(1)]));
  blocks.done(batchOf(2_000, [queue]));
  expect(said.splice(0)).toEqual(['let go 1']);
  blocks.done(shareOf(3_000, [blockOf(3)]));
  expect(said.splice(0)).toEqual(['let go 3', 'forgotten 1000', 'free 1']);
  blocks.done(shareOf(4_000, [blockOf(4)]));
  expect(said.splice(0)).toEqual(['let go 4', 'forgotten 2000']);
  blocks.done(shareOf(9_000, []));
  expect(said).toEqual(['forgotten 4000', 'free 3', 'free 4']);
});
