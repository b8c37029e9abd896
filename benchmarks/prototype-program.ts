/** The barest program that does what the engine does with a record, to see what the engine adds:
 * no batches, tracker, checkpoint, recovery or bounds for time, and it never checks what it must
 * not lose. Bundled and started by prototype.bench.ts, in a process of its own.
 *
 *      receiver thread          main thread          task threads (two for words)
 *      lines → slot, crc          who is next          decode, select or count words
 *      groups of slots → file     ──────────────►      ─────► slot is free again ──► receiver
 *
 * A slot of shared memory: count, then `count + 1` offsets (both u32, native order), then the text.
 * It has one owner at a time, the thread that its number was posted to. The file is as long as it
 * will ever be before anything is timed, and is overwritten from its start again and again.
 * @module */
import fs from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { allocateSharedPages } from '../src/core/shared-memory.ts';
import { crc32 } from '../src/serde/crc32.ts';
import { LINE_COUNT, makeLines } from '../src/sources/generator-lines.ts';
import { RECORD_BYTES, isSelected, wordWeight } from './generator-work.ts';

const MIB = 2 ** 20;
const PAGE_BYTES = 4096;
const SLOTS = 64;
const FILE_BYTES = 256 * MIB;
const SLOT_RECORDS = Math.floor((MIB - 8) / (RECORD_BYTES + 4));

export interface PrototypeTask {
  readonly pipeline: 'filter-count' | 'word-count';
  readonly isSynced: boolean;
  /** Made here. */
  readonly file: string;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What the program prints: speed of the measured part, and the sums of the whole run. */
export interface PrototypeAnswer {
  readonly recordsPerSecond: number;
  readonly cpuNsPerRecord: number;
  readonly records: number;
  readonly sums: Readonly<Record<string, number>>;
}

/** What every Buffer has, and its types leave out. */
interface Latin1 {
  latin1Write(text: string, at: number): number;
  latin1Slice(from: number, to: number | undefined): string;
}

interface ThreadStart {
  readonly role: 'receiver' | 'task';
  readonly task: PrototypeTask;
  readonly memory: SharedArrayBuffer;
}
type ReceiverWord = { readonly slot: number } | { readonly made: number };
type TaskWord = { readonly slot: number } | { readonly sums: Readonly<Record<string, number>> };

async function main(task: PrototypeTask): Promise<PrototypeAnswer> {
  const memory = allocateSharedPages(SLOTS * MIB);
  fs.writeFileSync(task.file, new Uint8Array(FILE_BYTES), { flush: true });
  const start = (role: ThreadStart['role']): Worker =>
    new Worker(new URL(import.meta.url), { workerData: { role, task, memory } });
  const receiver = start('receiver');
  const tasks = Array.from({ length: task.pipeline === 'word-count' ? 2 : 1 }, () => start('task'));
  const sums: Record<string, number> = {};
  let [records, handedOut, answers] = [0, 0, 0];
  let made = Infinity;
  const ended = new Promise<void>((resolve) => {
    const endWhenDone = (): void => {
      if (records === made) for (const each of tasks) each.postMessage('end');
    };
    receiver.on('message', (word: ReceiverWord) => {
      if ('made' in word) made = word.made;
      else tasks[handedOut++ % tasks.length]?.postMessage(word.slot);
      endWhenDone();
    });
    for (const each of tasks) {
      each.on('message', (word: TaskWord) => {
        if ('slot' in word) {
          records += SLOT_RECORDS;
          receiver.postMessage(word.slot);
          endWhenDone();
          return;
        }
        for (const [name, sum] of Object.entries(word.sums)) sums[name] = (sums[name] ?? 0) + sum;
        answers += 1;
        if (answers === tasks.length) resolve();
      });
    }
  });
  await sleep(task.warmUpMs);
  const [recordsBefore, cpuBefore, beforeMs] = [records, process.cpuUsage(), performance.now()];
  await sleep(task.measureMs);
  const [during, cpu] = [records - recordsBefore, process.cpuUsage(cpuBefore)];
  const seconds = (performance.now() - beforeMs) / 1_000;
  receiver.postMessage('end');
  await ended;
  await Promise.all([receiver, ...tasks].map((each) => each.terminate()));
  const cpuNsPerRecord = ((cpu.user + cpu.system) * 1_000) / during;
  return { recordsPerSecond: during / seconds, cpuNsPerRecord, records, sums };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function receive({ task, memory }: ThreadStart, port: MessagePort): Promise<void> {
  const bytes = Buffer.from(memory) as Buffer & Latin1;
  const lines = makeLines(1, RECORD_BYTES);
  const log = task.isSynced ? new GroupLog(task.file, bytes, port) : undefined;
  const free = Array.from({ length: SLOTS }, (_, slot) => slot);
  const end = { isAsked: false };
  let made = 0;
  port.on('message', (word: number | 'end') => {
    if (word === 'end') end.isAsked = true;
    else free.push(word);
  });
  while (!end.isAsked) {
    const slot = free.pop();
    if (slot === undefined) {
      await new Promise((resolve) => port.once('message', resolve)); // a free slot, or the end
      continue;
    }
    const endOffset = fill(bytes, slot, { lines, first: made });
    made += SLOT_RECORDS;
    if (log === undefined) port.postMessage({ slot } satisfies ReceiverWord);
    else log.append(slot, endOffset);
    await new Promise((resolve) => setImmediate(resolve));
  }
  port.postMessage({ made } satisfies ReceiverWord);
}

/** @returns where the slot's content ends in the memory. */
function fill(
  bytes: Buffer & Latin1,
  slot: number,
  { lines, first }: { readonly lines: readonly string[]; readonly first: number },
): number {
  const offsets = new Uint32Array(bytes.buffer, slot * MIB, SLOT_RECORDS + 2);
  let at = slot * MIB + offsets.byteLength;
  offsets[0] = SLOT_RECORDS;
  for (let n = 0; n < SLOT_RECORDS; n += 1) {
    offsets[n + 1] = at;
    at += bytes.latin1Write(lines[(first + n) % LINE_COUNT] ?? '', at);
  }
  offsets[SLOT_RECORDS + 1] = at;
  return at;
}

/** Writes all slots that wait as one group, syncs, and hands them on. One group at a time. */
class GroupLog {
  readonly #fd: number;
  readonly #bytes: Buffer;
  readonly #port: MessagePort;
  #waiting: { readonly slot: number; readonly view: Uint8Array }[] = [];
  #isWriting = false;
  #at = 0;
  crc = 0;

  constructor(file: string, bytes: Buffer, port: MessagePort) {
    this.#fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_DIRECT);
    this.#bytes = bytes;
    this.#port = port;
  }

  append(slot: number, end: number): void {
    this.crc = crc32(this.#bytes.subarray(slot * MIB, end));
    const view = this.#bytes.subarray(slot * MIB, Math.ceil(end / PAGE_BYTES) * PAGE_BYTES);
    this.#waiting.push({ slot, view });
    if (!this.#isWriting) this.#write();
  }

  #write(): void {
    const group = this.#waiting;
    this.#waiting = [];
    this.#isWriting = group.length > 0;
    if (group.length === 0) return;
    const length = group.reduce((sum, { view }) => sum + view.byteLength, 0);
    if (this.#at + length > FILE_BYTES) this.#at = 0;
    const views = group.map(({ view }) => view);
    fs.writev(this.#fd, views, this.#at, (error, written) => {
      if (error !== null || written !== length) throw error ?? new Error('a short write');
      fs.fdatasync(this.#fd, (failure) => {
        if (failure !== null) throw failure;
        for (const { slot } of group) this.#port.postMessage({ slot } satisfies ReceiverWord);
        this.#write();
      });
    });
    this.#at += length;
  }
}

function work({ task, memory }: ThreadStart, port: MessagePort): void {
  const bytes = Buffer.from(memory) as Buffer & Latin1;
  const counts = new Map<string, number>();
  let selected = 0;
  const see = (line: string): void => {
    if (task.pipeline === 'filter-count') selected += isSelected(line) ? 1 : 0;
    else for (const word of line.split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1);
  };
  port.on('message', (slot: number | 'end') => {
    if (slot === 'end') {
      port.postMessage({ sums: sumsOf(task, selected, counts) } satisfies TaskWord);
      return;
    }
    const offsets = new Uint32Array(memory, slot * MIB, SLOT_RECORDS + 2);
    const count = offsets[0] ?? 0;
    for (let n = 1; n <= count; n += 1) see(bytes.latin1Slice(offsets[n] ?? 0, offsets[n + 1]));
    port.postMessage({ slot } satisfies TaskWord);
  });
}

function sumsOf(
  { pipeline }: PrototypeTask,
  selected: number,
  counts: ReadonlyMap<string, number>,
): Record<string, number> {
  if (pipeline === 'filter-count') return { selected };
  let [words, weighted] = [0, 0];
  for (const [word, count] of counts) {
    words += count;
    weighted += count * wordWeight(word);
  }
  return { words, weighted };
}

if (isMainThread) {
  console.log(JSON.stringify(await main(JSON.parse(process.argv[2] ?? '') as PrototypeTask)));
} else if (parentPort !== null) {
  const start = workerData as ThreadStart;
  if (start.role === 'receiver') await receive(start, parentPort);
  else work(start, parentPort);
}
