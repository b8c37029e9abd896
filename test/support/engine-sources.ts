/** The world around a simulated engine: sources of three kinds and what they were promised.
 *
 * - positioned: partitions that can be read again; the engine says from where. Exactly once.
 * - with ids: clients that send a message again until it is acknowledged, to any receiver, and
 *   sometimes once more after that. Exactly once.
 * - pushed: records that come once and are told to nobody. At most once, and certainly when their
 *   block was in the log, or the engine has stopped in order.
 *
 * The world outlives every process; what a dead thread says reaches nobody. @module */
import type { Random } from '../../src/core/random.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { Receiver } from '../../src/dstream/receiver.ts';
import { Lane, SimThread } from '../../src/testing/sim-scheduler.ts';
import type { SimScheduler } from '../../src/testing/sim-scheduler.ts';
import { STORE_REFUSALS } from '../../src/testing/trouble-codes.ts';

export type SourceKind = 'positioned' | 'ids' | 'pushed';

interface Message {
  readonly key: string;
  readonly records: readonly string[];
  sendsLeft: number;
  isAcknowledged: boolean;
}

const WORDS = 5;

export class World {
  readonly scheduler: SimScheduler;
  readonly thread: SimThread = new SimThread('world');
  readonly sources: Source[] = [];
  /** What must not have happened. */
  readonly problems: string[] = [];
  /** How often an acknowledgement is lost, or a client sends once more. */
  readonly troubleShare: number;
  /** Sources end, so that the engine ends by itself. */
  isEnding = false;

  constructor(scheduler: SimScheduler, troubleShare: number) {
    this.scheduler = scheduler;
    this.troubleShare = troubleShare;
  }

  get random(): Random {
    return this.scheduler.random;
  }

  /** Nobody has anything more to send now. */
  get isIdle(): boolean {
    return this.sources.every(({ isSettled }) => isSettled);
  }

  /** Resolves after a while, unless `thread` dies. */
  pause(thread: SimThread, mostMs: number): Promise<void> {
    const delayMs = this.scheduler.below(mostMs);
    return new Promise((resolve) => void this.scheduler.after(thread, delayMs, resolve));
  }

  /** A rejected store, which has to be one that may happen. */
  note(error: unknown): void {
    if (error instanceof MillraceError && STORE_REFUSALS.has(error.code)) return;
    this.problems.push(`a store was rejected: ${String(error)}`);
  }
}

export class Source {
  readonly id: string;
  readonly kind: SourceKind;
  readonly world: World;
  /** By partition. */
  readonly partitions: readonly (readonly string[])[];
  /** How many of each partition may be sent by now. */
  released = 0;
  /** Positioned: acknowledged up to here. Pushed: taken up to here. */
  readonly done: number[];
  readonly messages: Message[] = [];
  readonly receivers = new Set<IdReceiver>();
  /** Pushed records that the process of now has taken, and the thread that has them. */
  readonly taken = new Map<string, SimThread>();
  /** Pushed records that must come out. */
  readonly promised = new Set<string>();

  constructor(
    world: World,
    { id, kind, count }: { readonly id: string; readonly kind: SourceKind; readonly count: number },
  ) {
    this.world = world;
    this.id = id;
    this.kind = kind;
    const { scheduler } = world;
    // Some records are longer than a sector, so that a power cut can tear them.
    const padding = (): string => '~'.repeat(scheduler.chance(0.3) ? scheduler.below(900) : 0);
    const partitions = kind === 'positioned' ? 1 + scheduler.below(3) : 1;
    this.partitions = Array.from({ length: partitions }, (_, partition) =>
      Array.from(
        { length: count },
        (__, n) => `${id}.${partition}.${n}${padding()} w${scheduler.below(WORDS)}`,
      ),
    );
    this.done = this.partitions.map(() => 0);
    if (kind === 'ids') this.#makeMessages();
  }

  get records(): readonly string[] {
    return this.partitions.flat();
  }

  /** Everything that was released is where the source wanted it. */
  get isSettled(): boolean {
    if (this.kind === 'ids') return this.#due.every(({ isAcknowledged }) => isAcknowledged);
    return this.done.every((done, at) => done >= Math.min(this.released, this.#lengthOf(at)));
  }

  /** Lets the next part of the records come. */
  release(share: number): void {
    const before = this.#due.length;
    this.released = Math.ceil(share * Math.max(...this.partitions.map(({ length }) => length)));
    for (const message of this.#due.slice(before)) this.#send(message);
  }

  isOver(partition: number, at: number): boolean {
    return at >= this.#lengthOf(partition);
  }

  newReceiver(): Receiver<string> {
    if (this.kind === 'ids') return new IdReceiver(this);
    return this.kind === 'positioned' ? new PositionedReceiver(this) : new PushReceiver(this);
  }

  acknowledge(message: Message): void {
    if (this.world.scheduler.chance(this.world.troubleShare)) return; // lost on its way
    message.isAcknowledged = true;
  }

  get #due(): readonly Message[] {
    return this.messages.slice(0, this.released);
  }

  #lengthOf(partition: number): number {
    return this.partitions[partition]?.length ?? 0;
  }

  #makeMessages(): void {
    const rest = [...this.records];
    while (rest.length > 0) {
      const records = rest.splice(0, 1 + this.world.scheduler.below(2));
      const key = `${this.id}-${this.messages.length}`;
      this.messages.push({ key, records, sendsLeft: 2, isAcknowledged: false });
    }
  }

  /** Again and again until it is acknowledged, sometimes although it is. */
  #send(message: Message): void {
    const { scheduler, thread, troubleShare } = this.world;
    scheduler.after(thread, scheduler.below(120), () => {
      if (message.isAcknowledged) {
        if (message.sendsLeft === 0 || !scheduler.chance(troubleShare)) return;
        message.sendsLeft -= 1;
      }
      const reachable = [...this.receivers].filter((each) => each.thread.isAlive);
      reachable[scheduler.below(reachable.length)]?.take(message);
      this.#send(message);
    });
  }
}

class PositionedReceiver extends Receiver<string> {
  readonly #source: Source;
  #left = 0;
  #hasFailed = false;

  constructor(source: Source) {
    super();
    this.#source = source;
  }

  onStart(): void {
    const { partitions, world } = this.#source;
    const { current } = world.scheduler;
    // Partitions that move from one receiver to another may have two for a while.
    const isGreedy = world.scheduler.chance(world.troubleShare / 2);
    partitions.forEach((records, partition) => {
      if (!isGreedy && partition % this.receiverCount !== this.receiverIndex) return;
      this.#left += 1;
      this.#feed(current, records, partition).catch((error: unknown) => world.note(error));
    });
    if (this.#left === 0) this.end();
  }

  onStop(): void {}

  async #feed(thread: SimThread, records: readonly string[], partition: number): Promise<void> {
    const { world } = this.#source;
    const { scheduler } = world;
    let at = Number(this.lastPosition[String(partition)] ?? 0);
    let last: Promise<void> = Promise.resolve();
    // What the engine says it has, it has, also when the answer went under with a thread.
    this.#source.done[partition] = Math.max(this.#source.done[partition] ?? 0, at);
    for (;;) {
      await world.pause(thread, 40);
      if (this.signal.aborted) return;
      if (this.#source.isOver(partition, at)) break;
      const end = Math.min(at + 1 + scheduler.below(3), this.#source.released, records.length);
      if (end <= at) continue;
      last = this.#store(thread, { records: records.slice(at, end), partition, end });
      at = end;
      if (scheduler.chance(0.3)) await last;
      if (scheduler.chance(world.troubleShare / 4)) this.restart('the source went away');
    }
    await last;
    // A life in which a store has failed has not sent all; the next one does.
    if (this.#hasFailed) return;
    this.#left -= 1;
    if (this.#left === 0 && world.isEnding) this.end();
  }

  async #store(
    thread: SimThread,
    part: { readonly records: readonly string[]; readonly partition: number; readonly end: number },
  ): Promise<void> {
    const { done, world } = this.#source;
    const { partition, end } = part;
    try {
      await this.store(part.records, { position: { [partition]: end } });
      if (thread.isAlive) done[partition] = Math.max(done[partition] ?? 0, end);
    } catch (error) {
      this.#hasFailed = true;
      if (thread.isAlive) world.note(error);
    }
  }
}

export class IdReceiver extends Receiver<string> {
  readonly thread: SimThread;
  readonly #source: Source;
  readonly #lane: Lane;

  constructor(source: Source) {
    super();
    this.#source = source;
    this.thread = source.world.scheduler.current;
    this.#lane = new Lane(`clients to ${this.thread.name}`, this.thread);
  }

  onStart(): void {
    this.#source.receivers.add(this);
    if (this.#source.world.isEnding) this.#endLater();
  }

  onStop(): void {
    this.#source.receivers.delete(this);
  }

  take(message: Message): void {
    this.#source.world.scheduler.post(this.#lane, `send ${message.key}`, () => {
      if (!this.signal.aborted) void this.#deliver(message);
    });
  }

  async #deliver(message: Message): Promise<void> {
    const { key, records } = message;
    const { world } = this.#source;
    try {
      const claim = await this.claim(key, `digest of ${key}`);
      if (claim.kind === 'new') {
        await this.store(records, { idempotency: { key, digest: `digest of ${key}` } });
      } else if (claim.kind === 'conflict' || claim.recordCount !== records.length) {
        world.problems.push(`the claim of ${key} was answered ${JSON.stringify(claim)}`);
      }
      if (this.thread.isAlive) this.#source.acknowledge(message);
    } catch (error) {
      if (this.thread.isAlive) world.note(error);
    }
  }

  /** A client that comes after the end would find nobody. */
  #endLater(): void {
    const { world } = this.#source;
    void world.pause(this.thread, 40).then(() => {
      if (this.signal.aborted) return;
      if (this.#source.isSettled) this.end();
      else this.#endLater();
    });
  }
}

class PushReceiver extends Receiver<string> {
  readonly #source: Source;

  constructor(source: Source) {
    super();
    this.#source = source;
  }

  onStart(): void {
    const { world } = this.#source;
    this.#feed(world.scheduler.current).catch((error: unknown) => world.note(error));
  }

  onStop(): void {}

  async #feed(thread: SimThread): Promise<void> {
    const { world, taken, done } = this.#source;
    const [records = []] = this.#source.partitions;
    for (;;) {
      await world.pause(thread, 30);
      if (this.signal.aborted) return;
      const next = done[0] ?? 0;
      if (next >= records.length) break;
      if (next >= this.#source.released) continue;
      const record = records[next] ?? '';
      done[0] = next + 1;
      const room = this.store(record);
      if (room !== undefined) await room;
      if (!thread.isAlive) continue;
      world.scheduler.trace.add(world.scheduler.nowMs, `taken: ${record}`);
      taken.set(record, thread);
    }
    if (world.isEnding) this.end();
  }
}
