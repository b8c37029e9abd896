/** Blocks that a repair has taken out of this directory: `loss-<log>-<first>-<last>.json` names
 * them.
 *
 * The tracker knows such a block as one without a place in a log, like one that was only in memory.
 * What a batch says of those that it runs without has to tell the two apart: a person has given
 * these up, and no level of durability would have kept them.
 * @module */
import { join } from 'node:path';
import * as v from 'valibot';
import type { Copy } from '../wal/mirrored-disk.ts';

const LOSS_FILE = /^loss-.+\.json$/;
const BYTES_MAX = 64 * 1024 * 1024;
const LOSS = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ blocks: v.array(v.object({ block: v.string() })) }),
);

/** @returns keys of blocks. A file that says nothing one could use is passed over: only words
 * depend on it, and no start is refused for it. */
export async function readDroppedBlocks({ disk, directory }: Copy): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for (const name of (await disk.list(directory)) ?? []) {
    if (!LOSS_FILE.test(name)) continue;
    const reading = disk.readWhole(join(directory, name), BYTES_MAX);
    const bytes = await reading.catch(() => undefined);
    const loss = v.safeParse(LOSS, bytes === undefined ? '' : Buffer.from(bytes).toString('utf8'));
    if (!loss.success) continue;
    for (const { block } of loss.output.blocks) keys.add(block);
  }
  return keys;
}
