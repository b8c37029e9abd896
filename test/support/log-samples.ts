/** Two small logs with everything in them that a log can have, written by the real writer.
 *
 *     receiver log   4 segments of 16 KiB, recycled files, blocks in slots, watermarks of the peer;
 *                    the process died in the middle of a write: the next opening carried records
 *                    over, so the second segment ends in void and torn bytes
 *     driver log     2 segments of 32 KiB, groups of small events, the last file recycled, so that
 *                    old records stand behind the last one
 *
 * In both the last group was synced and nothing in the log says so. @module */
import { BlockArena } from '../../src/blocks/block-arena.ts';
import { SLOT_HEADER_BYTES } from '../../src/blocks/block-layout.ts';
import { BlockWriter } from '../../src/blocks/block-writer.ts';
import type { Lsn } from '../../src/core/ids.ts';
import { encodeEvent } from '../../src/driver/tracker-events.ts';
import type { TrackerEvent } from '../../src/driver/tracker-state.ts';
import type { BatchTimeMs } from '../../src/core/ids.ts';
import { crc32 } from '../../src/serde/crc32.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import { judgeLog } from '../../src/wal/log-verdict.ts';
import { readRecords } from '../../src/wal/scanned-record.ts';
import { parseSegmentName, segmentName } from '../../src/wal/segment-name.ts';
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts';
import type { WalOptions } from '../../src/wal/wal-options.ts';
import { LINES, blockOf, shareOf, sourceId } from './block-samples.ts';
import { imageOf } from './log-image.ts';
import type { LogImage } from './log-image.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryDisk } from './memory-disk.ts';

const PAGE_BYTES = 4096;
const LOG_ID = '0f1e2d3c4b5a69788796a5b4c3d2e1f0';

/** A log that is being written, and what its files held before they were recycled. */
class SampleLog {
  readonly disk = new MemoryDisk();
  readonly directory: string;
  readonly #options: Partial<WalOptions>;
  /** Of each segment, by its seq: content when it was left. */
  readonly #left = new Map<number, Uint8Array>();
  #log: WriteAheadLog | undefined;

  constructor(directory: string, options: Partial<WalOptions>) {
    this.directory = directory;
    this.#options = options;
  }

  get log(): WriteAheadLog {
    if (this.#log === undefined) throw new Error('the sample log is not open');
    return this.#log;
  }

  async open(options: Partial<WalOptions>): Promise<void> {
    this.#log = await WriteAheadLog.open({
      disk: this.disk.attach(),
      clock: new ManualClock(),
      directory: this.directory,
      logId: LOG_ID,
      epoch: 1,
      baseLsn: 1 as Lsn,
      segmentBytes: 4 * PAGE_BYTES,
      sparesMin: 1,
      mode: 'direct',
      durability: 'sync',
      ...this.#options,
      ...options,
    });
  }

  /** The process dies in the middle of writing; what is half there is kept as it is, and the next
   * process goes on. */
  async dieWriting(): Promise<void> {
    this.disk.kill();
    const [newest = ''] = (await this.segments()).toReversed();
    const image = this.disk.contentOf(`${this.directory}/${newest}`);
    const last = (await scanLog(this.disk, this.directory)).unwitnessed.at(-1);
    if (last === undefined) throw new Error('nothing was being written');
    image.fill(0, last.offsetBytes + 200, last.offsetBytes + 300);
    const verdict = judgeLog(await scanLog(this.disk, this.directory), 0 as Lsn);
    const carryOver = await readRecords(this.disk, verdict.suspects);
    await this.open({ epoch: 2, baseLsn: verdict.nextBaseLsn, carryOver });
  }

  /** Frees what is older than the newest segments, so that files come back as spares. */
  async recycle(segmentsKept: number): Promise<void> {
    const names = await this.segments();
    for (const name of names) this.#left.set(parseSegmentName(name) ?? 0, this.#contentOf(name));
    const keptFrom = names.at(-segmentsKept);
    if (keptFrom === undefined) return;
    const baseLsn = Buffer.from(this.#contentOf(keptFrom)).readBigUInt64LE(48);
    await this.log.truncateBefore(Number(baseLsn) as Lsn);
  }

  async segments(): Promise<string[]> {
    const names = (await this.disk.list(this.directory)) ?? [];
    return names.filter((name) => parseSegmentName(name) !== undefined);
  }

  /** @param count of the newest segments; the older ones count as truncated. */
  async image(name: string, count: number): Promise<LogImage> {
    const names = (await this.segments()).slice(-count);
    const segments = names.map((segment) => {
      const seq = parseSegmentName(segment) ?? 0;
      const bytes = this.#contentOf(segment);
      // Any earlier segment will do: a file that is recycled may come from any of them.
      const older = this.#left.get(seq - count) ?? new Uint8Array(bytes.byteLength);
      return { name: segmentName(seq), bytes, older };
    });
    return imageOf({ name, directory: this.directory, segments });
  }

  #contentOf(name: string): Uint8Array {
    return this.disk.contentOf(`${this.directory}/${name}`).slice();
  }
}

/** Blocks of one and of two pages, alone and in groups. */
export async function receiverLogSample(): Promise<LogImage> {
  let peerLsn = 0;
  const peerDurableLsn = (): Lsn => peerLsn as Lsn;
  const sample = new SampleLog('/logs/receiver', { peerDurableLsn });
  const writer = new BlockWriter(BlockArena.create(1024 * 1024), msgpackCodec, 1);
  let seq = 0;
  const append = async (recordBytes: number): Promise<void> => {
    const slot = blockSlot(writer, { seq, recordBytes });
    seq += 1;
    await sample.log.appendSlot(slot.bytes, slot.payloadBytes, slot.payloadCrc);
  };
  /** Its last group is the first one of the segment that it begins. */
  const appendUntilRoll = async (recordBytes: number): Promise<void> => {
    const newest = (await sample.segments()).at(-1);
    while ((await sample.segments()).at(-1) === newest) await append(recordBytes);
  };
  await sample.open({});
  while (seq < 24) {
    peerLsn += 2; // the next group has a watermark
    await append(300);
    await Promise.all([append(2_500), append(40)]);
    await append(5_000);
    await sample.recycle(2);
  }
  await appendUntilRoll(700);
  await Promise.all([append(900), append(800)]);
  await sample.dieWriting();
  await appendUntilRoll(1_500);
  await append(3_000);
  peerLsn += 2;
  await append(60);
  return sample.image('receiver', 4);
}

interface Slot {
  readonly bytes: Uint8Array;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

function blockSlot(
  writer: BlockWriter,
  { seq, recordBytes }: { readonly seq: number; readonly recordBytes: number },
): Slot {
  for (let bytes = 0; bytes < recordBytes; bytes += 100) {
    writer.append(`block ${seq} record at ${bytes} `.padEnd(Math.min(100, recordBytes), 'MRx'));
  }
  const { slot, payloadBytes } = writer.cut({
    blockId: { streamId: LINES, receiverIndex: 0, incarnation: { epoch: 1, n: 1 }, seq },
    positions: [{ partition: '', follows: seq === 0 ? null : seq - 1, last: seq }],
    sourceIds: [sourceId(`k${seq}`)],
    isBuffered: seq % 2 === 0,
  });
  const payload = slot.subarray(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + payloadBytes);
  return { bytes: slot, payloadBytes, payloadCrc: crc32(payload) };
}

/** Groups of five events. */
export async function driverLogSample(): Promise<LogImage> {
  const sample = new SampleLog('/logs/driver', { segmentBytes: 8 * PAGE_BYTES, mode: 'buffered' });
  await sample.open({});
  let round = 0;
  const append = async (): Promise<void> => {
    round += 1;
    const events = sampleEvents(round).map((event) => encodeEvent(event, msgpackCodec));
    await Promise.all(events.map((payload) => sample.log.append(payload)));
  };
  while ((await sample.segments()).at(-1) !== segmentName(5)) {
    await append();
    await sample.recycle(2);
  }
  await append();
  await append();
  return sample.image('driver', 2);
}

/** What the driver logs in one batch interval. */
export function sampleEvents(round: number): TrackerEvent[] {
  const block = (index: number) =>
    blockOf(2 * round + index, {
      lsn: 2 * round + index + 1,
      positions: [{ partition: 'p0', follows: round === 1 ? null : round - 1, last: round }],
      sourceIds: [sourceId(`key ${round} ${index}`)],
    });
  const blocks = [block(0), block(1)];
  const share = shareOf(round * 1_000, blocks);
  const files = { path: '/in/a.txt', sizeBytes: 9, mtimeMs: 1.5, birthtimeMs: 1.25, inode: 7 };
  const inputs = [
    ...share.inputs,
    { kind: 'files', streamId: LINES, files: [files], forgotten: ['/in/b.txt'] } as const,
    { kind: 'queue', streamId: LINES, queueIndex: round, slices: 2 } as const,
  ];
  return [
    ...blocks.map((each) => ({ type: 'block-added', block: each }) as const),
    { type: 'batch-allocated', share: { ...share, inputs } },
    { type: 'batch-allocated', share: shareOf(round * 1_000 + 500, []) },
    { type: 'batch-cleaned', throughMs: (round * 1_000) as BatchTimeMs },
  ];
}
