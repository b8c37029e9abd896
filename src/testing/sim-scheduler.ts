/** Decides, from a seed, what happens next in a simulated machine; and owns its clock.
 *
 *     lane ─► event, event, …     in order within a lane: a disk thread, one direction of a channel
 *     lane ─► event               any lane's first event may be the next one
 *     timers                      time stands still until no event is left, or leaps at will
 *
 * A step is one event, and everything that follows from it without another event: microtasks run in
 * a fixed order, so the same seed gives the same history on every machine. Nothing here waits for
 * real time. Each event belongs to a thread; what a dead thread has coming never happens.
 * @module */
import type { Clock, Timer } from '../core/clock.ts';
import type { MonotonicMs, WallMs } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import { SimTrace } from './sim-trace.ts';

/** A thread of a simulated process, or, without a parent, the process itself. */
export class SimThread {
  readonly name: string;
  readonly #parent: SimThread | undefined;
  #isAlive = true;

  constructor(name: string, parent?: SimThread) {
    this.name = name;
    this.#parent = parent;
  }

  get isAlive(): boolean {
    return this.#isAlive && this.#parent?.isAlive !== false;
  }

  kill(): void {
    this.#isAlive = false;
  }
}

export interface SimEvent {
  readonly label: string;
  readonly act: () => void;
  /** What of it happens although its thread is dead: what others do for it. */
  readonly effect?: () => void;
}

/** Events that happen one after the other. */
export class Lane {
  readonly name: string;
  readonly thread: SimThread;
  readonly events: SimEvent[] = [];
  /** How often, 0 … 1, another lane is preferred. */
  slowness = 0;

  constructor(name: string, thread: SimThread) {
    this.name = name;
    this.thread = thread;
  }
}

interface Alarm {
  readonly atMs: number;
  readonly thread: SimThread;
  readonly label: string;
  callback: (() => void) | undefined;
}

/** How often time passes although something else could happen. */
const LEAP_SHARE = 0.02;

export class SimScheduler {
  readonly random: Random;
  readonly trace: SimTrace = new SimTrace();
  /** Steps so far. */
  stepCount = 0;
  #nowMs = 0;
  readonly #ready: Lane[] = [];
  /** By time; of one time, in the order in which they were set. */
  readonly #alarms: Alarm[] = [];
  #current: SimThread | undefined;

  constructor(random: Random) {
    this.random = random;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The thread whose event it is that happens now. */
  get current(): SimThread {
    if (this.#current === undefined) throw new Error('nothing happens now');
    return this.#current;
  }

  /** A number below `count`. */
  below(count: number): number {
    return Math.floor(this.random.next() * count);
  }

  chance(share: number): boolean {
    return this.random.next() < share;
  }

  post(lane: Lane, label: string, act: () => void): void {
    this.postEvent(lane, { label, act });
  }

  postEvent(lane: Lane, event: SimEvent): void {
    if (!lane.thread.isAlive) return;
    if (lane.events.length === 0) this.#ready.push(lane);
    lane.events.push(event);
  }

  /** Takes everything from a lane. */
  empty(lane: Lane): readonly SimEvent[] {
    if (lane.events.length > 0) this.#ready.splice(this.#ready.indexOf(lane), 1);
    return lane.events.splice(0);
  }

  /** Forgets what dead threads had coming. */
  bury(): void {
    for (const lane of this.#ready.filter(({ thread }) => !thread.isAlive)) this.empty(lane);
    const alive = this.#alarms.filter(({ thread }) => thread.isAlive);
    this.#alarms.splice(0, this.#alarms.length, ...alive);
  }

  /** The clock of a thread. Its timers die with it. @param epochMs of the wall clock at time 0. */
  clockOf(thread: SimThread, epochMs: number): Clock {
    return {
      wallMs: () => (epochMs + this.#nowMs) as WallMs,
      monotonicMs: () => this.#nowMs as MonotonicMs,
      after: (delayMs, callback) => this.after(thread, delayMs, callback),
    };
  }

  after(thread: SimThread, delayMs: number, callback: () => void): Timer {
    const alarm: Alarm = {
      atMs: this.#nowMs + delayMs,
      thread,
      label: `${thread.name}: ${delayMs} ms are over`,
      callback,
    };
    let at = this.#alarms.length;
    while (at > 0 && (this.#alarms[at - 1]?.atMs ?? 0) > alarm.atMs) at -= 1;
    this.#alarms.splice(at, 0, alarm);
    const cancel = (): void => {
      alarm.callback = undefined;
    };
    return { cancel };
  }

  /** Lets one thing happen, and all that follows from it at once.
   * @returns false when nothing is left that could happen. */
  async step(): Promise<boolean> {
    const lane = this.#chooseLane();
    if (lane === undefined) {
      const alarm = this.#nextAlarm();
      if (alarm === undefined) return this.#ready.length > 0 && this.step();
      this.#happen(alarm.thread, alarm.label, alarm.callback);
    } else {
      const event = lane.events.shift();
      if (lane.events.length === 0) this.#ready.splice(this.#ready.indexOf(lane), 1);
      if (event !== undefined && lane.thread.isAlive) {
        this.#happen(lane.thread, `${lane.name}: ${event.label}`, event.act);
      }
    }
    await settled();
    this.#current = undefined;
    return true;
  }

  /** Runs `act` as a step of its own. */
  async do(thread: SimThread, label: string, act: () => void): Promise<void> {
    this.#happen(thread, label, act);
    await settled();
    this.#current = undefined;
  }

  #happen(thread: SimThread, label: string, act: (() => void) | undefined): void {
    this.stepCount += 1;
    this.trace.add(this.#nowMs, label);
    this.#current = thread;
    act?.();
  }

  #chooseLane(): Lane | undefined {
    const count = this.#ready.length;
    if (count === 0 || this.random.next() < LEAP_SHARE) return undefined;
    const lane = this.#ready[this.below(count)];
    if (lane === undefined || lane.slowness === 0 || this.random.next() >= lane.slowness) {
      return lane;
    }
    return this.#ready[this.below(count)];
  }

  #nextAlarm(): Alarm | undefined {
    for (let alarm = this.#alarms.shift(); alarm !== undefined; alarm = this.#alarms.shift()) {
      if (alarm.callback === undefined || !alarm.thread.isAlive) continue;
      this.#nowMs = Math.max(this.#nowMs, alarm.atMs);
      return alarm;
    }
    return undefined;
  }
}

/** Resolves when no microtask is left: ticks run only then, and before anything real. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
