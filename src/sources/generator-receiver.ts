/** Makes records as fast as asked, or as fast as they are taken: `generatorStream`.
 *
 * Replayable: partition `r<index>` has a position, the number of records that this receiver has had
 * stored durably, and a restart goes on strictly after it. Record k of receiver i is record
 * k × receivers + i of the input, so all receivers together make records 0, 1, 2 … once each; the
 * number of receivers must stay the same for that to hold across restarts.
 *
 *      position 700, chunks of 1,024:   [700…1024)  [1024…2048)  [2048…3072) …
 *                                        a copy      the very same array each time
 *
 * Calls of `store` are not awaited one by one; at most `callsMax` are outstanding. Pacing is by
 * deadlines from the start of this life: no drift, and what a stall delayed is made up for, as a
 * real source would. Under a rate of the engine it asks for what the rate allows, and waits for the
 * next token. @module */
import { present } from '../core/assert.ts';
import { systemClock } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { SourceGuarantee } from '../dstream/receiver.ts';
import { Receiver } from '../dstream/receiver.ts';
import { LINE_COUNT, lineAt, makeLines } from './generator-lines.ts';
import { OutstandingCalls } from './outstanding-calls.ts';

/** Largest `store` call in bytes. A call lies in one block, so small ones fill blocks better: 96 %
 * of 1 MiB with 512 records of 100 bytes a call, 91 % with 1,024. */
const CHUNK_BYTES_MAX = 64 * 1024;
/** Pacing hands out what is due about this often. */
const STEP_MS = 10;

export interface GeneratorReceiverOptions {
  /** Of the whole input, split evenly over its receivers. Absent: as fast as records are taken. */
  readonly recordsPerSecond?: number;
  /** Bytes of one record. @defaultValue 100 */
  readonly recordBytes?: number;
  /** Records of the whole input, over all restarts; then it ends. Absent: it never ends. */
  readonly total?: number;
  /** Any integer. @defaultValue 1 */
  readonly seed?: number;
  /** `store` calls that may be outstanding. @defaultValue 512 */
  readonly callsMax?: number;
  /** @defaultValue the system's clock */
  readonly clock?: Clock;
}

export class GeneratorReceiver extends Receiver<string> {
  static readonly guarantee: SourceGuarantee = {
    delivery: 'replayable',
    reason: 'lines are made from the seed, and go on after the last durable one',
  };
  readonly #options: GeneratorReceiverOptions;
  readonly #clock: Clock;
  readonly #calls: OutstandingCalls;
  #loop: Promise<void> = Promise.resolve();
  #isStopping = false;

  /** @throws {MillraceError} OPTIONS_INVALID listing all problems. */
  constructor(options: GeneratorReceiverOptions) {
    super();
    checkOptions(options);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#calls = new OutstandingCalls(this.#clock, options.callsMax);
  }

  onStart(): void {
    this.#isStopping = false; // a life starts when the calls of the last one have settled
    this.#loop = this.#run().catch((error: unknown) => this.#failed(error));
  }

  /** Makes no more records. Calls under way settle by themselves; nothing waits for them. */
  async onStop(): Promise<void> {
    this.#isStopping = true;
    this.#calls.wake();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { seed = 1, recordBytes = 100, recordsPerSecond } = this.#options;
    const chunks = new Chunks(this.#ownCycle(makeLines(seed, recordBytes)), recordBytes);
    const partition = `r${this.receiverIndex}`;
    const first = this.#firstPosition(partition);
    const end = this.#share();
    const perMs = (recordsPerSecond ?? Infinity) / this.receiverCount / 1_000;
    const startedMs = this.#clock.monotonicMs();
    let position = first;
    while (position < end && !this.#isStopping) {
      if (this.#calls.isFull) {
        await this.#calls.pause();
        continue;
      }
      const due = first + dueCount(perMs, this.#clock.monotonicMs() - startedMs);
      if (due <= position) {
        await this.#calls.pause(Math.max(STEP_MS, (position + 1 - due) / perMs));
        continue;
      }
      const { records, waitMs } = this.allowance;
      if (waitMs > 0) {
        await this.#calls.pause(waitMs);
        continue;
      }
      const chunk = chunks.from(position, Math.min(due, end, position + records));
      position += chunk.length;
      this.#send(chunk, { [partition]: position });
      await nextTurn(); // other work of this thread (log writes, other receivers) gets its turn
    }
    await this.#finish();
  }

  /** Ends the input when its whole share is durable. */
  async #finish(): Promise<void> {
    while (!this.#calls.isEmpty && !this.#isStopping) await this.#calls.pause();
    if (!this.#isStopping) this.end();
  }

  #send(chunk: readonly string[], position: Readonly<Record<string, number>>): void {
    this.#calls.add(this.store(chunk, { position }).catch((error: unknown) => this.#failed(error)));
  }

  /** Calls after a failed one would leave a gap: the engine refuses them, this life is over. */
  #failed(error: unknown): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#calls.wake();
    if (error instanceof MillraceError && error.code === 'RECEIVER_STOPPED') return;
    this.restart('generatorStream: records were not stored', error);
  }

  /** Lines of this receiver's records 0…1023; they repeat after that, whatever the receiver
   * count. */
  #ownCycle(lines: readonly string[]): readonly string[] {
    const { receiverIndex: index, receiverCount: count } = this;
    return lines.map((_, k) => lineAt(lines, k * count + index));
  }

  #share(): number {
    const { total } = this.#options;
    if (total === undefined) return Infinity;
    return Math.max(0, Math.ceil((total - this.receiverIndex) / this.receiverCount));
  }

  #firstPosition(partition: string): number {
    const last = this.lastPosition[partition];
    return typeof last === 'number' ? last : 0;
  }
}

/** The records of one receiver, cut so that whole chunks are made once and handed out again. */
class Chunks {
  readonly #cycle: readonly string[];
  readonly #size: number;
  readonly #whole: readonly (readonly string[])[];

  constructor(cycle: readonly string[], recordBytes: number) {
    this.#cycle = cycle;
    // A power of two, so that whole chunks fill the cycle.
    const fitting = Math.max(1, Math.floor(CHUNK_BYTES_MAX / recordBytes));
    this.#size = Math.min(LINE_COUNT, 2 ** Math.floor(Math.log2(fitting)));
    this.#whole = Array.from({ length: LINE_COUNT / this.#size }, (_, index) =>
      cycle.slice(index * this.#size, (index + 1) * this.#size),
    );
  }

  /** The records from `position` up to the end of its chunk, but before `end`. At least one. */
  from(position: number, end: number): readonly string[] {
    const start = position % LINE_COUNT;
    const skipped = start % this.#size;
    const count = Math.min(this.#size - skipped, end - position);
    return count === this.#size
      ? present(this.#whole[start / this.#size], `chunk of record ${position}`)
      : this.#cycle.slice(start, start + count);
  }
}

/** After what else this thread has to do: I/O, messages, promises. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Records due after `elapsedMs`; the product is rounded down, so the rate is never exceeded. */
function dueCount(perMs: number, elapsedMs: number): number {
  return perMs === Infinity ? Infinity : Math.floor(elapsedMs * perMs + 1e-9);
}

function checkOptions(options: GeneratorReceiverOptions): void {
  const { recordsPerSecond, recordBytes = 100, total, seed = 1, callsMax = 512 } = options;
  const problems: string[] = [];
  if (
    recordsPerSecond !== undefined &&
    !(Number.isFinite(recordsPerSecond) && recordsPerSecond > 0)
  ) {
    problems.push(`recordsPerSecond ${recordsPerSecond} is not a number above 0`);
  }
  if (!Number.isSafeInteger(recordBytes) || recordBytes < 2) {
    problems.push(`recordBytes ${recordBytes} is not a whole number of 2 or more`);
  }
  if (total !== undefined && !(Number.isSafeInteger(total) && total >= 0)) {
    problems.push(`total ${total} is not a whole number of 0 or more`);
  }
  if (!Number.isSafeInteger(seed)) problems.push(`seed ${seed} is not a whole number`);
  if (!Number.isSafeInteger(callsMax) || callsMax < 1) {
    problems.push(`callsMax ${callsMax} is not a whole number of 1 or more`);
  }
  if (problems.length === 0) return;
  throw new MillraceError('OPTIONS_INVALID', `generatorStream: ${problems.join('; ')}`);
}
