/** Blocks of batches that are done, as far as a window of the next batch looks at them. What of
 * unfinished batches and queues can be dropped is in test/integration/wal-tools.test.ts. @module */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { shareOf } from '../../../test/support/block-samples.ts';
import { HOME, HomeHistory, RECEIVER_LOG } from '../../../test/support/home-history.ts';
import { graphOf } from '../../../test/support/inline-driver.ts';
import type { BatchTimeMs } from '../../core/ids.ts';
import { encodeCheckpoint } from '../../driver/checkpoint-content.ts';
import type { StatePointer } from '../../driver/state-snapshots.ts';
import { describeGraph } from '../../dstream/graph.ts';
import type { BuildPipeline } from '../../dstream/pipeline.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import { dropRanges } from './drop-range.ts';

const WINDOWED: BuildPipeline = (ssc) => ssc.generatorStream().window('3s').print();
/** Keyed state over windows of 2 s. */
const STATEFUL: BuildPipeline = (ssc) =>
  ssc
    .generatorStream()
    .window('2s')
    .keyBy((line) => line)
    .mapWithState((line) => line)
    .print();
const MANIFEST = { logId: '00112233445566778899aabbccddeeff', pipelineName: 'p', epoch: 1 };

/** Batches at 1 s, 2 s and 3 s, all done, with one block each.
 * @param stateMs the batch that the snapshot of keyed state has last. */
async function doneBatches(
  build: BuildPipeline,
  stateMs?: number,
): Promise<{ history: HomeHistory; lsns: readonly number[] }> {
  const history = new HomeHistory();
  const run = await history.start();
  const lsns: number[] = [];
  for (const time of [1_000, 2_000, 3_000]) {
    const block = await run.register();
    lsns.push(block.position?.lsn ?? 0);
    await run.tracker.allocate(shareOf(time, [block]));
    const batch = run.tracker.state.batches.get(time as BatchTimeMs);
    if (batch !== undefined) batch.isDone = true;
  }
  const graph = describeGraph(graphOf(build));
  const { tracker, home } = run;
  const content = {
    pipeline: 'p',
    graph,
    graphHash: '',
    codeHash: '',
    config: { batchIntervalMs: 1_000 },
    appliedLsn: tracker.appliedLsn,
    receiversEpoch: home.epoch,
    ...(stateMs === undefined ? {} : { stateSnapshot: pointerTo(stateMs as BatchTimeMs) }),
    state: tracker.state,
  };
  await home.store.write(encodeCheckpoint(content, msgpackCodec));
  await run.close();
  return { history, lsns };
}

function pointerTo(batchTimeMs: BatchTimeMs): StatePointer {
  return { name: 'state-0000000000002000.snapshot', batchTimeMs, lengthBytes: 1, operators: [] };
}

it('names what a window loses, and leaves no batch that points at what is gone', async () => {
  const { history, lsns } = await doneBatches(WINDOWED);
  const [first = 0, second = 0, third] = lsns;
  const [loss] = await dropRanges(
    { disk: history.disk.attach(), directory: HOME, manifest: MANIFEST, codec: msgpackCodec },
    [{ log: RECEIVER_LOG, firstLsn: first, lastLsn: second }],
  );
  // The next batch is at 4 s and looks at 2, 3 and 4.
  expect(loss).toMatchObject({ batches: [2_000], recordCount: 1, blocks: [{ lsn: second }] });
  const { examination } = await history.recover();
  const positions = [...examination.state.batches.values()].flatMap(({ share, isDone }) =>
    share.inputs.flatMap((input) =>
      input.kind === 'blocks' ? input.blocks.map((block) => [isDone, block.position?.lsn]) : [],
    ),
  );
  expect(positions).toEqual([
    [true, undefined],
    [true, undefined],
    [true, third],
  ]);
});

it('names what keyed state loses that is made again over windows', async () => {
  const { history, lsns } = await doneBatches(STATEFUL, 2_000);
  const [loss] = await dropRanges(
    { disk: history.disk.attach(), directory: HOME, manifest: MANIFEST, codec: msgpackCodec },
    [{ log: RECEIVER_LOG, firstLsn: lsns[0] ?? 0, lastLsn: lsns[2] ?? 0 }],
  );
  // The batch at 3 s runs again, and looks at 2 and 3.
  expect(loss).toMatchObject({ batches: [2_000, 3_000], recordCount: 2 });
});

it.each([
  ['only a window needs', WINDOWED, undefined],
  ['only keyed state needs', STATEFUL, 2_000],
])('a start refuses to lose what %s', async (_what, build, stateMs) => {
  const { history } = await doneBatches(build, stateMs);
  const disk = history.disk.attach();
  await disk.rename(join(HOME, RECEIVER_LOG), join(HOME, 'elsewhere'));
  await expect(history.recover()).rejects.toMatchObject({
    code: 'WAL_CORRUPT',
    message: expect.stringContaining(RECEIVER_LOG) as string,
  });
});
