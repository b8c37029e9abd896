/** One receiver executor: the receivers of one worker thread and their common log.
 *
 * Implements ReceiverExecutorApi for the driver. Order of a life: load → open (log) →
 * startReceiver … → stopReceivers → close. Knows no thread API: executor-main.ts binds it to a
 * worker, tests call it directly. @module */
import { BlockArena } from '../blocks/block-arena.ts';
import type { ArenaHandle } from '../blocks/block-arena.ts';
import { BlockWriter } from '../blocks/block-writer.ts';
import { present } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import type { Lsn, StreamId } from '../core/ids.ts';
import { describeGraph, graphHash } from '../dstream/graph.ts';
import type { LoadedPipeline } from '../dstream/load-pipeline.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { toWireError } from '../serde/wire-error.ts';
import { createReceiver } from '../sources/receiver-factory.ts';
import { MirroredDisk } from '../wal/mirrored-disk.ts';
import type { Disk, OpenedDisk } from '../wal/disk.ts';
import type { LockFile } from '../wal/lock-file.ts';
import { ownedDisk } from '../wal/owned-disk.ts';
import { PAYLOAD_BYTES_MAX } from '../wal/record-header.ts';
import { SEGMENT_HEADER_BYTES } from '../wal/segment-header.ts';
import { WriteAheadLog } from '../wal/write-ahead-log.ts';
import { BlockGenerator } from './block-generator.ts';
import type { BlockGeneratorOptions } from './block-generator.ts';
import { BlockPusher } from './block-pusher.ts';
import type {
  DriverCallbacks,
  ReceiverExecutorApi,
  ReceiverExecutorData,
  ReceiverExecutorStats,
  ReceiverLife,
  ReceiverLogSpec,
  ThreadGraph,
} from './protocol.ts';
import { RateGate } from './rate-gate.ts';
import { ReceiverRunner } from './receiver-runner.ts';

export interface ReceiverExecutorServices {
  /** For the log; called once for each place that it is written to. */
  readonly openDisk: () => OpenedDisk;
  readonly clock: Clock;
  /** The disk as it serves the owner of the directory. @defaultValue `ownedDisk` */
  readonly own?: (disk: Disk, lock: LockFile) => Disk;
  /** @defaultValue the arena between threads */
  readonly attachArena?: (handle: ArenaHandle) => BlockArena;
  /** For how long the thread's event loop has had work. @defaultValue nobody counts it */
  readonly activeMs?: () => number;
  /** The pipeline of a module. */
  readonly load: (moduleUrl: string) => Promise<LoadedPipeline>;
}

type GeneratorOfLife = Pick<BlockGeneratorOptions, 'life' | 'pusher' | 'rate' | 'onBroken'>;

/** What `open` has made. */
interface Opened {
  readonly driver: DriverCallbacks;
  readonly wal: WriteAheadLog | undefined;
  readonly pusher: BlockPusher;
}

export class ReceiverExecutor implements ReceiverExecutorApi {
  readonly #data: ReceiverExecutorData;
  readonly #services: ReceiverExecutorServices;
  readonly #arena: BlockArena;
  /** One for each place of the log; none with the log off. */
  readonly #disks: readonly OpenedDisk[];
  readonly #runners: ReceiverRunner[] = [];
  readonly #rates: Map<StreamId, number>;
  readonly #gates: { readonly streamId: StreamId; readonly gate: RateGate }[] = [];
  #pipeline: LoadedPipeline | undefined;
  #opened: Opened | undefined;

  constructor(data: ReceiverExecutorData, services: ReceiverExecutorServices) {
    this.#data = data;
    this.#services = services;
    this.#rates = new Map(data.rates);
    const { attachArena = (handle) => BlockArena.attach(handle) } = services;
    this.#arena = attachArena(data.arena);
    // Now, so that their threads start while the pipeline is loaded.
    const placeCount = data.log === undefined ? 0 : data.log.mirror === undefined ? 1 : 2;
    this.#disks = Array.from({ length: placeCount }, () => services.openDisk());
  }

  async load(): Promise<ThreadGraph> {
    this.#pipeline = await this.#services.load(this.#data.pipeline.moduleUrl);
    const nodes = describeGraph(this.#pipeline.graph);
    return { nodes, graphHash: graphHash(nodes) };
  }

  async open(driver: DriverCallbacks): Promise<void> {
    const { log, durability } = this.#data;
    let isShort = false;
    let onShort = (): void => {};
    const wal =
      log === undefined
        ? undefined
        : await this.#openLog(log, driver, (isNow) => {
            isShort = isNow;
            onShort();
          });
    const pusher = new BlockPusher({
      arena: this.#arena,
      durability,
      ...(wal === undefined || log === undefined ? {} : { log: { wal, name: log.name } }),
      announce: (batch) => driver.announce(batch),
    });
    onShort = () => pusher.hold('log', isShort);
    onShort(); // the disk may have been full before the pusher was there
    this.#opened = { driver, wal, pusher };
  }

  async startReceiver(life: ReceiverLife): Promise<void> {
    const { driver, pusher } = present(this.#opened, 'the executor is not open');
    const { graph } = present(this.#pipeline, 'the pipeline is not loaded');
    const { clock } = this.#services;
    const { streamId } = life;
    const node = graph.node(streamId);
    const gate = new RateGate({
      clock,
      maxRate: this.#data.maxRate,
      publishedRate: this.#rates.get(streamId),
    });
    this.#gates.push({ streamId, gate });
    const runner = new ReceiverRunner(life, {
      newReceiver: () => createReceiver(node, clock),
      durability: this.#data.durability,
      clock,
      driver,
      rate: gate,
      newGenerator: (life, onBroken) => this.#newGenerator({ life, pusher, rate: gate, onBroken }),
    });
    this.#runners.push(runner);
    await runner.start();
  }

  async stopReceivers(): Promise<{ readonly lastAnnouncementSeq: number }> {
    await Promise.all(this.#runners.splice(0).map((runner) => runner.stop()));
    return { lastAnnouncementSeq: this.#opened?.pusher.lastAnnouncementSeq ?? 0 };
  }

  async hold(isHeld: boolean): Promise<void> {
    this.#opened?.pusher.hold('driver', isHeld);
  }

  async setRate(streamId: StreamId, recordsPerSecond: number): Promise<void> {
    this.#rates.set(streamId, recordsPerSecond);
    for (const each of this.#gates) {
      if (each.streamId === streamId) each.gate.setRate(recordsPerSecond);
    }
  }

  async truncateLog(lsn: Lsn): Promise<number> {
    return (await this.#opened?.wal?.truncateBefore(lsn)) ?? 0;
  }

  async stats(): Promise<ReceiverExecutorStats> {
    const { wal, pusher } = present(this.#opened, 'the executor is not open');
    const { recordCount, blockCount, inFlightBytes } = pusher;
    const activeMs = this.#services.activeMs?.();
    const active = activeMs === undefined ? {} : { activeMs };
    if (wal === undefined) return { recordCount, blockCount, inFlightBytes, ...active };
    const { groups, bytes, syncMs, syncCounts, pendingBytes, segments } = wal.stats();
    const log = {
      groups,
      bytes,
      syncMsP50: syncMs.p50,
      syncMsP99: syncMs.p99,
      syncCounts,
      pendingBytes,
      segments,
    };
    return { recordCount, blockCount, inFlightBytes, ...active, log };
  }

  async close(): Promise<void> {
    await this.stopReceivers();
    try {
      await this.#opened?.wal?.close();
    } finally {
      await Promise.all(this.#disks.map((disk) => disk.close()));
    }
  }

  #newGenerator(ofLife: GeneratorOfLife): BlockGenerator {
    const { blockIntervalMs, blockBytesMax, arenaOwner, log } = this.#data;
    const writer = new BlockWriter(this.#arena, msgpackCodec, arenaOwner);
    if (log !== undefined) {
      writer.slotBytesMax = Math.min(log.segmentBytes - SEGMENT_HEADER_BYTES, PAYLOAD_BYTES_MAX);
    }
    return new BlockGenerator({
      ...ofLife,
      writer,
      arena: this.#arena,
      clock: this.#services.clock,
      blockIntervalMs,
      blockBytesMax,
    });
  }

  #diskOf({ lock, mirror }: ReceiverLogSpec): Disk {
    const [first, second] = this.#disks;
    const { own = ownedDisk } = this.#services;
    const disk = own(present(first, 'the disk of the log is not open').disk, lock);
    if (mirror === undefined) return disk;
    const { of, directory, lock: mirrorLock } = mirror;
    const other = present(second, 'the disk of the second copy is not open').disk;
    return new MirroredDisk([
      { disk, directory: of },
      { disk: own(other, mirrorLock), directory },
    ]);
  }

  #openLog(
    spec: ReceiverLogSpec,
    driver: DriverCallbacks,
    onShort: (isShort: boolean) => void,
  ): Promise<WriteAheadLog> {
    const { clock } = this.#services;
    const witness = new BigInt64Array(this.#data.driverDurableLsn);
    return WriteAheadLog.open({
      disk: this.#diskOf(spec),
      clock,
      directory: spec.directory,
      logId: spec.logId,
      epoch: spec.epoch,
      baseLsn: spec.baseLsn,
      segmentBytes: spec.segmentBytes,
      mode: spec.mode,
      isGrowing: spec.isGrowing,
      durability: spec.durability,
      peerDurableLsn: () => Number(Atomics.load(witness, 0)) as Lsn,
      onShortage: (shortage) => {
        onShort(shortage !== undefined);
        driver.logShortage(shortage ?? null).catch(() => undefined); // as below
      },
      onPoison: (error) => {
        // The driver ends the engine or moves the log; one that is gone has ended already.
        driver.logPoisoned(toWireError(error)).catch(() => undefined);
      },
    });
  }
}
