/** What a scan gathers on its way: last LSN, witnesses, the records nobody witnessed yet.
 * @module */
import type { Lsn } from '../core/ids.ts';
import { witnessedPeer } from './pending-record.ts';
import { RECORD_TYPES } from './record-header.ts';
import type { RecordType } from './record-header.ts';
import type { ScannedRecord } from './scanned-record.ts';

/** Called for payload records in LSN order. `payload` is good until the call returns: copy it. */
export type PayloadVisitor = (record: ScannedRecord, payload: Buffer) => void;

/** Length from which the list of unwitnessed records is pruned, so that it stays short. */
const PRUNE_LENGTH = 8192;

export class ScanFindings {
  readonly #visit: PayloadVisitor | undefined;
  #unwitnessed: ScannedRecord[] = [];
  #pruneAt = PRUNE_LENGTH;
  lastLsn = 0 as Lsn;
  lastType: RecordType | undefined;
  durableLsn = 0 as Lsn;
  peerWitness = 0 as Lsn;

  constructor(visit: PayloadVisitor | undefined) {
    this.#visit = visit;
  }

  /** @param lastLsnMax LSNs above it are void here, and prove nothing. */
  add(record: ScannedRecord, payload: Buffer, lastLsnMax: number): void {
    this.lastLsn = record.lsn;
    this.lastType = record.type;
    this.noteDurable(Math.min(record.durableLsn, lastLsnMax) as Lsn);
    if (record.lsn > this.durableLsn) this.#unwitnessed.push(record);
    if (this.#unwitnessed.length > this.#pruneAt) this.#prune();
    if (record.type === RECORD_TYPES.payload) this.#visit?.(record, payload);
    if (record.type === RECORD_TYPES.watermark && payload.byteLength >= 8) {
      this.peerWitness = Math.max(this.peerWitness, witnessedPeer(payload)) as Lsn;
    }
  }

  noteDurable(lsn: Lsn): void {
    if (lsn > this.durableLsn) this.durableLsn = lsn;
  }

  /** Valid records above the durable LSN, in order. */
  unwitnessed(): readonly ScannedRecord[] {
    this.#prune();
    return this.#unwitnessed;
  }

  #prune(): void {
    this.#unwitnessed = this.#unwitnessed.filter(({ lsn }) => lsn > this.durableLsn);
    this.#pruneAt = Math.max(PRUNE_LENGTH, 2 * this.#unwitnessed.length);
  }
}
