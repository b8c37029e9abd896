/** Harms a log in one way after another, reads it each time, and compares with what must come out.
 *
 *     image + map ── harm ──► bytes ── scanLog, judgeLog ──► verdicts, records
 *          └── which parts differ ──► what must come out ──────────┘ compared
 *
 * What must come out is found from the map and from which bytes differ, never from the code under
 * test. Two verdicts are asked for: one by the log's own witnesses alone, one by a peer that knows
 * every record. The second must call every lost record damage; the first exactly those that
 * something left in the log still proves synced, and nothing else.
 * @module */
import type { Lsn } from '../../src/core/ids.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import type { LogScan } from '../../src/wal/log-scan.ts';
import { judgeLog } from '../../src/wal/log-verdict.ts';
import { FrozenDisk } from './frozen-disk.ts';
import { heal, inflict } from './log-harm.ts';
import type { Harm, Range } from './log-harm.ts';
import type { LogImage } from './log-image.ts';

const PAGE_BYTES = 4096;
const HEADER_BYTES = 32;
const INTACT = 0;
/** The header is whole, the payload is not. */
const PAYLOAD_BAD = 1;
/** The header is not whole, but its magic and its LSN are. */
const HEADER_BAD = 2;
/** Nothing there says which record it was. */
const GONE = 3;

export class HarmedLog {
  readonly #image: LogImage;
  readonly #disk = new FrozenDisk();
  readonly #bytes: Buffer;
  /** Of each byte of the image: 1 + the index of its record; 0 for none. */
  readonly #owners: Uint16Array;
  readonly #recordHarm: Uint8Array;
  readonly #headerHarm: Uint8Array;
  readonly #largestFileBytes: number;
  #delivered = 0;
  #invented = '';

  constructor(image: LogImage) {
    this.#image = image;
    this.#bytes = Buffer.from(image.bytes);
    this.#owners = new Uint16Array(image.bytes.byteLength);
    for (const [index, { from, to }] of image.records.entries()) {
      this.#owners.fill(index + 1, from, to);
    }
    this.#recordHarm = new Uint8Array(image.records.length);
    this.#headerHarm = new Uint8Array(image.files.length);
    this.#largestFileBytes = Math.max(...image.files.map(({ from, to }) => to - from));
    this.#restoreFiles();
  }

  /** @returns what came out wrong; `undefined` when all is as it must be. */
  async mistakeOf(harm: Harm): Promise<string | undefined> {
    const ranges = inflict(harm, this.#bytes, this.#image);
    this.#recordHarm.fill(INTACT);
    this.#headerHarm.fill(0);
    for (const range of ranges) this.#mark(range);
    if (harm.kind === 'cut') this.#cut(harm);
    try {
      return await this.#examine(harm);
    } catch (thrown) {
      return `the reader threw ${String(thrown)}`;
    } finally {
      heal(ranges, this.#bytes, this.#image);
      if (harm.kind === 'cut') this.#restoreFiles();
    }
  }

  async #examine(harm: Harm): Promise<string | undefined> {
    this.#delivered = 0;
    this.#invented = '';
    const { directory, records } = this.#image;
    const scan = await scanLog(this.#disk, directory, (record, payload) => {
      this.#take(record.lsn, payload);
    });
    if (this.#invented !== '') return this.#invented;
    const memory = this.#memoryMistake(scan);
    if (memory !== undefined) return memory;
    const firstHarmed = this.#recordHarm.findIndex((state) => state !== INTACT);
    const own = judgeLog(scan, 0 as Lsn);
    const all = judgeLog(scan, (records.at(-1)?.lsn ?? 0) as Lsn);
    const isFileBad = this.#headerHarm.includes(1) || harm.kind === 'cut';
    if (firstHarmed >= 0 && all.kind !== 'damaged') return 'a witnessed record was lost in silence';
    if (harm.kind === 'cut' && harm.isRestGone) return this.#beheadedMistake(harm, own.kind);
    if (isFileBad) return own.kind === 'damaged' ? undefined : `a bad file passed as ${own.kind}`;
    const expected = firstHarmed < 0 ? 'clean' : this.#expectedKind(firstHarmed);
    if (own.kind !== expected) return `it is called ${own.kind}, and is ${expected}`;
    const wantedLsn = firstHarmed < 0 ? records.at(-1)?.lsn : (records[firstHarmed]?.lsn ?? 0) - 1;
    if (scan.lastLsn !== wantedLsn) return `it ends at ${scan.lastLsn}, not at ${wantedLsn}`;
    const wanted = records.filter(({ isPayload, lsn }) => isPayload && lsn <= scan.lastLsn).length;
    if (this.#delivered !== wanted) return `${this.#delivered} records came back, not ${wanted}`;
    const suspects = own.kind === 'damaged' ? 0 : scan.lastLsn - own.durableThrough;
    return own.suspects.length === suspects ? undefined : `${own.suspects.length} suspects`;
  }

  /** Whole files are gone at the end: only a file that is cut in its middle shows that by itself. */
  #beheadedMistake({ at }: Extract<Harm, { kind: 'cut' }>, own: string): string | undefined {
    const isWhole = this.#image.files.some(({ from }) => from === at);
    return isWhole || own === 'damaged' ? undefined : `a cut file passed as ${own}`;
  }

  /** By the witnesses that are left in the log. */
  #expectedKind(firstHarmed: number): string {
    const { files, records } = this.#image;
    const harmed = records[firstHarmed];
    if (harmed === undefined) throw new Error('no such record');
    let durableLsn = Math.max(
      ...files.map(({ provenLsn, lastLsnMax }) => Math.min(provenLsn, lastLsnMax)),
    );
    let isBehind = false;
    for (const [index, record] of records.entries()) {
      const state = this.#recordHarm[index];
      if (index > firstHarmed && record.fileIndex !== harmed.fileIndex) break;
      if (index === firstHarmed || (state !== INTACT && state !== PAYLOAD_BAD)) continue;
      durableLsn = Math.max(durableLsn, record.durableLsn);
      isBehind ||= index > firstHarmed;
    }
    if (durableLsn >= harmed.lsn) return 'damaged';
    return isBehind || this.#recordHarm[firstHarmed] !== GONE ? 'torn' : 'clean';
  }

  #memoryMistake(scan: LogScan): string | undefined {
    const asked = Math.max(scan.windowBytes, this.#disk.readBytesMax);
    if (asked <= this.#largestFileBytes) return undefined;
    return `${asked} bytes of memory for files of ${this.#largestFileBytes}`;
  }

  /** Every record that comes out was appended: payload and LSN are those of the sound log. */
  #take(lsn: number, payload: Buffer): void {
    this.#delivered += 1;
    const first = this.#image.records[0]?.lsn ?? 0;
    const record = this.#image.records[lsn - first];
    const isSame =
      record !== undefined &&
      payload.byteLength === record.to - record.from - HEADER_BYTES &&
      this.#image.bytes.compare(
        payload,
        0,
        payload.byteLength,
        record.from + HEADER_BYTES,
        record.to,
      ) === 0;
    if (!isSame) this.#invented = `record ${lsn} is not what was appended`;
  }

  /** Notes which parts of the log the bytes of a range belong to, where they differ. */
  #mark([from, to]: Range): void {
    for (let at = from; at < to; at += 1) {
      if (this.#bytes[at] === this.#image.bytes[at]) continue;
      const owner = this.#owners[at] ?? 0;
      if (owner > 0) this.#markRecord(owner - 1, at);
      else this.#markHeader(at);
    }
  }

  #markRecord(index: number, at: number): void {
    const inRecord = at - (this.#image.records[index]?.from ?? 0);
    const isNamed = (inRecord >= 2 && inRecord < 4) || (inRecord >= 16 && inRecord < 24);
    const found = isNamed ? GONE : inRecord < HEADER_BYTES ? HEADER_BAD : PAYLOAD_BAD;
    this.#recordHarm[index] = Math.max(found, this.#recordHarm[index] ?? 0);
  }

  #markHeader(at: number): void {
    const index = this.#image.files.findIndex(({ from }) => at >= from && at < from + PAGE_BYTES);
    if (index >= 0) this.#headerHarm[index] = 1;
  }

  #cut({ at, isRestGone }: Extract<Harm, { kind: 'cut' }>): void {
    const { files, records } = this.#image;
    for (const [index, { path, from, to }] of files.entries()) {
      if (to <= at) continue;
      if (from > at && !isRestGone) continue;
      if (from >= at && isRestGone) this.#disk.remove(path);
      else this.#disk.put(path, this.#bytes.subarray(from, at));
      for (const [position, record] of records.entries()) {
        if (record.fileIndex !== index || record.to <= at) continue;
        this.#recordHarm[position] = record.from + HEADER_BYTES <= at ? PAYLOAD_BAD : GONE;
      }
    }
  }

  #restoreFiles(): void {
    for (const { path, from, to } of this.#image.files) {
      this.#disk.put(path, this.#bytes.subarray(from, to));
    }
  }
}
