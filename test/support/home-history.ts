/** One run after another in one checkpoint directory on a simulated disk: what an engine writes
 * there, without the engine. Each run recovers the directory, writes a first checkpoint, and goes
 * on until it is killed, loses power or is closed. @module */
import { join } from 'node:path';
import { BlockArena } from '../../src/blocks/block-arena.ts';
import { BlockWriter } from '../../src/blocks/block-writer.ts';
import { SLOT_HEADER_BYTES } from '../../src/blocks/block-layout.ts';
import type { BlockMeta } from '../../src/blocks/block-layout.ts';
import type { BlockInfo } from '../../src/blocks/block-ref.ts';
import { CheckpointStore } from '../../src/checkpoint/checkpoint-store.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { EventBus } from '../../src/core/events.ts';
import type { EngineEvent } from '../../src/core/events.ts';
import type { BlockId, Lsn } from '../../src/core/ids.ts';
import { seededRandom } from '../../src/core/random.ts';
import { BlockTracker } from '../../src/driver/block-tracker.ts';
import { encodeCheckpoint } from '../../src/driver/checkpoint-content.ts';
import { examineDirectory } from '../../src/driver/examination.ts';
import type { Examination } from '../../src/driver/examination.ts';
import { recoverDirectory } from '../../src/driver/recovery.ts';
import type { Recovered } from '../../src/driver/recovery.ts';
import { crc32 } from '../../src/serde/crc32.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import type { CrashModel } from '../../src/testing/crash-survival.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import type { Disk } from '../../src/wal/disk.ts';
import { segmentName } from '../../src/wal/segment-name.ts';
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts';
import type { AddOutcome } from '../../src/workers/protocol.ts';
import { LINES } from './block-samples.ts';
import { ManualClock } from './manual-clock.ts';

export const HOME = '/home-of-the-test';
export const RECEIVER_LOG = 'receiver-log-0';
const LOG_ID = '00112233445566778899aabbccddeeff';
const SEGMENT_BYTES = 64 * 1024;

export class HomeHistory {
  readonly disk: SimDisk;
  readonly events: EngineEvent[] = [];
  readonly #durability: 'sync' | 'flush';
  readonly #segmentBytes: number;

  constructor(
    durability: 'sync' | 'flush' = 'sync',
    disk: SimDisk = new SimDisk(),
    segmentBytes: number = SEGMENT_BYTES,
  ) {
    this.#durability = durability;
    this.disk = disk;
    this.#segmentBytes = segmentBytes;
  }

  /** Recovers the directory, as a start of the engine does up to R0. */
  async recover(): Promise<RecoveredHome> {
    const disk = this.disk.attach();
    const clock = new ManualClock();
    const events = new EventBus();
    events.subscribe((event) => this.events.push(event));
    await disk.makeDirectory(HOME);
    const previous = await readManifest({ disk, directory: HOME });
    const directory = join(HOME, 'checkpoints');
    const store = await CheckpointStore.open({ disk, directory, keep: 2 });
    const codec = msgpackCodec;
    const place = { disk, directory: HOME, codec, events };
    const examination = await examineDirectory({ ...place, store, sourceIdsMax: 100 });
    const manifest = {
      logId: LOG_ID,
      pipelineName: 'p',
      epoch: (previous?.epoch ?? 0) + 1,
    };
    const recovered = await recoverDirectory(
      {
        ...place,
        clock,
        manifest,
        driverSegmentBytes: this.#segmentBytes,
        receiverSegmentBytes: this.#segmentBytes,
        onDriverPoison: () => {},
        onDriverShortage: () => {},
      },
      examination,
    );
    const where = { disk, clock, directory: HOME, logId: LOG_ID, logName: RECEIVER_LOG };
    return { ...where, epoch: manifest.epoch, store, examination, recovered };
  }

  /** A whole start: recovery, first checkpoint, receiver log, one receiver. */
  async start(): Promise<HomeRun> {
    const home = await this.recover();
    const run = new HomeRun(home, this.#durability, this.#segmentBytes);
    await run.begin();
    return run;
  }

  /** The process dies; what it has written is in the page cache. */
  kill(): void {
    this.disk.kill();
  }

  powerCut(model: CrashModel, seed = 1): void {
    this.disk.crash(seededRandom(seed), model);
  }

  /** Changes one byte of a file, durably. */
  damage(path: string, offsetBytes: number): void {
    const bytes = this.disk.contentOf(path).slice();
    bytes[offsetBytes] = (bytes[offsetBytes] ?? 0) ^ 0x40;
    this.disk.overwrite(path, bytes);
  }

  /** Every file of the directory, by path. */
  async files(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const name of ['', 'driver-log', 'driver-log-mirror', RECEIVER_LOG, 'checkpoints']) {
      const directory = join(HOME, name);
      for (const file of (await this.disk.list(directory)) ?? []) {
        const path = join(directory, file);
        const isFile = await this.disk.list(path).then(
          () => false,
          () => true,
        );
        if (!isFile) continue;
        found.set(path, Buffer.from(this.disk.contentOf(path)).toString('latin1'));
      }
    }
    return found;
  }
}

/** What a run needs of a recovered directory. */
export interface RunPlace {
  readonly disk: Disk;
  readonly clock: ManualClock;
  readonly directory: string;
  readonly logId: string;
  readonly epoch: number;
  readonly store: CheckpointStore;
  /** Of the one receiver executor. */
  readonly logName: string;
  readonly examination: Pick<Examination, 'state'>;
  readonly recovered: Pick<Recovered, 'appliedLsn' | 'driverLog' | 'nextLsn'>;
}

export interface RecoveredHome extends RunPlace {
  readonly examination: Examination;
  readonly recovered: Recovered;
}

const EXTENT_BYTES = 64 * 1024;
const EXTENTS = 16;

/** As BlockArena.create makes it, but of memory that thousands of runs can have. */
function smallArena(): BlockArena {
  return BlockArena.attach({
    memory: new SharedArrayBuffer(EXTENTS * EXTENT_BYTES),
    table: new SharedArrayBuffer(4 * (1 + 3 * EXTENTS)),
    extentBytes: EXTENT_BYTES,
    extentCount: EXTENTS,
    receiverExtents: 12,
  });
}

/** What a test says of a block. */
export type BlockWish = Partial<Pick<BlockMeta, 'positions' | 'sourceIds' | 'isBuffered'>>;

export class HomeRun<Place extends RunPlace = RecoveredHome> {
  readonly home: Place;
  readonly tracker: BlockTracker;
  readonly #durability: 'sync' | 'flush';
  readonly #segmentBytes: number;
  readonly #writer: BlockWriter;
  #log: WriteAheadLog | undefined;
  #seq = 0;

  constructor(home: Place, durability: 'sync' | 'flush', segmentBytes: number = SEGMENT_BYTES) {
    this.home = home;
    this.#segmentBytes = segmentBytes;
    this.#durability = durability;
    this.#writer = new BlockWriter(smallArena(), msgpackCodec, 1);
    this.tracker = new BlockTracker(home.recovered.appliedLsn, {
      state: home.examination.state,
      log: home.recovered.driverLog,
      codec: msgpackCodec,
      isCurrent: () => true,
      onRegistered: () => {},
    });
  }

  async begin(): Promise<void> {
    await this.checkpoint();
    const { disk, clock, directory, logId, logName, epoch, recovered } = this.home;
    const settledLsn = this.tracker.state.registeredLsn.get(logName) ?? 0;
    this.#log = await WriteAheadLog.open({
      disk,
      clock,
      directory: join(directory, logName),
      logId,
      epoch,
      baseLsn: Math.max(recovered.nextLsn.get(logName) ?? 1, settledLsn + 1) as Lsn,
      segmentBytes: this.#segmentBytes,
      mode: 'direct',
      durability: this.#durability,
      peerDurableLsn: () => recovered.driverLog.durableLsn,
    });
  }

  get log(): WriteAheadLog {
    if (this.#log === undefined) throw new Error('the run has not begun');
    return this.#log;
  }

  /** R7. */
  async checkpoint(): Promise<void> {
    const { epoch, store } = this.home;
    const content = {
      pipeline: 'p',
      graph: [],
      graphHash: '',
      codeHash: '',
      config: {},
      appliedLsn: this.tracker.appliedLsn,
      receiversEpoch: epoch,
      state: this.tracker.state,
    };
    await store.write(encodeCheckpoint(content, msgpackCodec));
  }

  /** R1: a block in the receiver log, and not registered. */
  async receive(wish: BlockWish = {}): Promise<BlockInfo> {
    const incarnation = { epoch: this.home.epoch, n: 1 };
    const blockId: BlockId = { streamId: LINES, receiverIndex: 0, incarnation, seq: this.#seq };
    this.#seq += 1;
    this.#writer.append(`record ${incarnation.epoch}.${blockId.seq}`);
    const meta = { positions: [], sourceIds: [], isBuffered: true, ...wish };
    const block = this.#writer.cut({ blockId, ...meta });
    const { slot, payloadBytes, recordCount, codec } = block;
    const payloadCrc = crc32(slot.subarray(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + payloadBytes));
    const at = await this.log.appendSlot(slot, payloadBytes, payloadCrc);
    return {
      blockId,
      recordCount,
      codec,
      lengthBytes: block.bytes.lengthBytes,
      durability: this.#durability,
      position: { log: this.home.logName, ...at, payloadBytes, payloadCrc },
      ...meta,
    };
  }

  /** R1 and R2: a block that is registered. */
  async register(wish: BlockWish = {}): Promise<BlockInfo> {
    const block = await this.receive(wish);
    const outcome: AddOutcome = await this.tracker.add(block);
    if (outcome.kind === 'refused') throw new Error(outcome.reason);
    return block;
  }

  /** Time passes without records: the logs witness what they know. */
  async idle(): Promise<void> {
    for (let turn = 0; turn < 3; turn += 1) {
      this.home.clock.advance(50);
      for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.home.recovered.driverLog.close();
  }

  /** The payload of a block, read from its log as a task does.
   * @returns false when it is not what was written. */
  async isReadable({ position }: BlockInfo): Promise<boolean> {
    if (position === undefined) return false;
    const { log, segmentSeq, offsetBytes, payloadBytes, payloadCrc } = position;
    const path = join(this.home.directory, log, segmentName(segmentSeq));
    const file = await this.home.disk.openForReading(path);
    const payload = new Uint8Array(payloadBytes);
    await file.read(payload, offsetBytes + SLOT_HEADER_BYTES);
    await file.close();
    return crc32(payload) === payloadCrc;
  }
}
