/** `verify --deep`: looks into every payload whose CRC is right, for what the CRC cannot tell: that
 * it is one well-formed message, that each record of a block decodes, and that the driver log and
 * the receiver logs name the same bytes. Gathers what it finds; throws nothing. @module */
import { isAscii, isUtf8 } from 'node:buffer';
import { binOfPayload, readBlockMeta } from '../../blocks/block-layout.ts';
import { recordsOfBin } from '../../blocks/block-records.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import { decodeEvent } from '../../driver/tracker-events.ts';
import type { Codec, RecordCodec } from '../../serde/codec.ts';
import type { ScannedRecord } from '../../wal/scanned-record.ts';
import { binOf } from './record-view.ts';

const FIXARRAY_8 = 0x98;
/** A log that is rotten throughout needs no longer list. */
const PROBLEMS_MAX = 100;

export class DeepCheck {
  readonly problems: string[] = [];
  recordCount = 0;
  readonly #codec: Codec;
  /** CRC of each registered block's payload, by log and LSN, as the driver log says. */
  readonly #registered = new Map<string, number>();

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  /** Call it for the records of the driver log first. */
  visit(log: string, record: ScannedRecord, payload: Buffer): void {
    this.recordCount += 1;
    try {
      if (payload[0] === FIXARRAY_8) this.#checkBlock(log, record, payload);
      else this.#checkEvent(payload);
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'FORMAT_UNKNOWN') throw error;
      this.#tell(log, record, toError(error).message);
    }
  }

  #checkEvent(payload: Buffer): void {
    const event = decodeEvent(payload, this.#codec);
    if (event.type !== 'block-added' || event.block.position === undefined) return;
    const { log, lsn, payloadCrc } = event.block.position;
    this.#registered.set(`${log} ${lsn}`, payloadCrc);
  }

  #checkBlock(log: string, record: ScannedRecord, payload: Buffer): void {
    const { recordCount, codec } = readBlockMeta(payload, this.#codec);
    const records = recordsOfBin(binOf(payload), { recordCount, codec }, this.#codec);
    if (codec === 'msgpack') records.forEach(() => undefined);
    else checkText(binOfPayload(payload), recordCount, codec);
    const registeredCrc = this.#registered.get(`${log} ${record.lsn}`);
    if (registeredCrc === undefined || registeredCrc === record.payloadCrc) return;
    this.#tell(log, record, 'its bytes are not those that the driver log has registered');
  }

  #tell(log: string, { lsn, path, offsetBytes }: ScannedRecord, what: string): void {
    if (this.problems.length === PROBLEMS_MAX) return;
    this.problems.push(`record ${lsn} of ${log}, at byte ${offsetBytes} of ${path}: ${what}`);
  }
}

/** Decoders put a sign in place of what is no text, so they never fail by themselves. */
function checkText(bin: Uint8Array, count: number, codec: RecordCodec): void {
  const tableAt = bin.byteLength - 4 * count;
  const view = new DataView(bin.buffer, bin.byteOffset, bin.byteLength);
  let start = 0;
  const textEnd = count === 0 ? 0 : view.getUint32(bin.byteLength - 4, true);
  if (isAscii(bin.subarray(0, textEnd))) return;
  if (codec === 'ascii') throw new Error('a block of ASCII text has other bytes in it');
  for (let i = 0; i < count; i += 1) {
    const end = view.getUint32(tableAt + 4 * i, true);
    if (!isUtf8(bin.subarray(start, end))) throw new Error(`its text ${i} is not UTF-8`);
    start = end;
  }
}
