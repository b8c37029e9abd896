/** The lines of a file, again and again, as fast as the engine takes them or lets them in: what
 * `--lines` puts in place of a source that is not at hand.
 *
 * Lines are read once, at the start. Calls of `store` are not awaited one by one. Under a rate it
 * asks for what the rate allows. Owns its end of the channel from its start to its stop. @module */
import { readFile } from 'node:fs/promises';
import { BroadcastChannel } from 'node:worker_threads';
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import { Receiver } from '../../dstream/receiver.ts';
import { OutstandingCalls } from '../../sources/outstanding-calls.ts';
import { ACK_CHANNEL } from './tune-protocol.ts';
import type { AckMessage } from './tune-protocol.ts';

const CALL_BYTES_MAX = 64 * 1024;
const CALL_RECORDS_MAX = 512;
/** What a rate lets in is asked for about this often. */
const STEP_MS = 10;
/** Times that are kept; more say nothing new. */
const TIMED_MAX = 100_000;

/** Lines that go into the engine with one call. */
export function chunksOf(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  if (lines.at(-1) === '') lines.pop(); // the last newline ends a line, and begins none
  const chunks: string[][] = [];
  let chunk: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    const lineBytes = Buffer.byteLength(line);
    const isFull = bytes + lineBytes > CALL_BYTES_MAX || chunk.length >= CALL_RECORDS_MAX;
    if (chunk.length > 0 && isFull) {
      chunks.push(chunk);
      [chunk, bytes] = [[], 0];
    }
    chunk.push(line);
    bytes += lineBytes;
  }
  return chunk.length === 0 ? chunks : [...chunks, chunk];
}

export class LinesReceiver extends Receiver<string> {
  readonly #path: string;
  readonly #channel = new BroadcastChannel(ACK_CHANNEL);
  readonly #calls = new OutstandingCalls(systemClock);
  #ackMs: number[] = [];
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(path: string) {
    super();
    this.#path = path;
  }

  override async onStart(): Promise<void> {
    const chunks = chunksOf(await readFile(this.#path, 'utf8'));
    if (chunks.length === 0) {
      throw new MillraceError('RECEIVER_FAILED', `${this.#path} has no line: give another file`);
    }
    this.#channel.onmessage = (event: unknown) => {
      this.#hear((event as { readonly data: AckMessage }).data);
    };
    this.#running = this.#run(chunks);
  }

  override async onStop(): Promise<void> {
    this.#isStopped = true;
    this.#calls.wake();
    await this.#running;
    this.#channel.close();
  }

  #hear({ kind }: AckMessage): void {
    if (kind === 'acks') return; // of another receiver
    if (kind === 'tell') {
      this.#channel.postMessage({ kind: 'acks', ackMs: this.#ackMs } satisfies AckMessage);
    }
    this.#ackMs = [];
  }

  async #run(chunks: readonly (readonly string[])[]): Promise<void> {
    let chunkIndex = 0;
    let rest: readonly string[] = [];
    while (!this.#isStopped) {
      const { records, waitMs } = this.allowance;
      if (this.#calls.isFull) await this.#calls.pause();
      else if (records < 1) await this.#calls.pause(Math.max(STEP_MS, waitMs));
      else {
        if (rest.length === 0) {
          rest = chunks[chunkIndex] ?? [];
          chunkIndex = (chunkIndex + 1) % chunks.length;
        }
        const most = Math.min(Math.floor(records), rest.length);
        const isWhole = most === rest.length;
        this.#send(isWhole ? rest : rest.slice(0, most));
        rest = isWhole ? [] : rest.slice(most);
        await new Promise((resolve) => setImmediate(resolve)); // acknowledgements come in between
      }
    }
  }

  #send(lines: readonly string[]): void {
    const startedMs = systemClock.monotonicMs();
    const onStored = (): void => {
      if (this.#ackMs.length >= TIMED_MAX) return;
      this.#ackMs.push(systemClock.monotonicMs() - startedMs);
    };
    const onFailed = (error: unknown): void => {
      if (!this.#isStopped) this.restart('lines of the measurement were not stored', error);
    };
    this.#calls.add(this.store(lines, {}).then(onStored, onFailed));
  }
}
