/** Which parts of the spill file are in use: places for blocks, given back and given out again.
 *
 * First fit in the order of offsets, so that the file stays as short as its oldest block allows;
 * free neighbours are merged, and a free end is no part of the file any more. Pure. @module */
import { assert } from '../core/assert.ts';
import { SLOT_ALIGN_BYTES, alignSlot } from './block-layout.ts';

interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export class SpillRanges {
  /** By offset, never touching each other or the end. */
  #free: Range[] = [];
  #endBytes = 0;
  #usedBytes = 0;

  /** Length that the file needs. */
  get endBytes(): number {
    return this.#endBytes;
  }

  /** Of all places that are given out, each rounded up to a page. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** @returns the offset of a place for `bytes` bytes, a multiple of a page. */
  take(bytes: number): number {
    const lengthBytes = alignSlot(bytes);
    this.#usedBytes += lengthBytes;
    const index = this.#free.findIndex((range) => range.lengthBytes >= lengthBytes);
    const range = this.#free[index];
    if (range === undefined) {
      const offsetBytes = this.#endBytes;
      this.#endBytes += lengthBytes;
      return offsetBytes;
    }
    const rest: Range = {
      offsetBytes: range.offsetBytes + lengthBytes,
      lengthBytes: range.lengthBytes - lengthBytes,
    };
    this.#free.splice(index, 1, ...(rest.lengthBytes === 0 ? [] : [rest]));
    return range.offsetBytes;
  }

  /** Gives back what `take(bytes)` gave. */
  release(offsetBytes: number, bytes: number): void {
    const lengthBytes = alignSlot(bytes);
    assert(offsetBytes % SLOT_ALIGN_BYTES === 0, 'a place in the spill file starts on a page');
    this.#usedBytes -= lengthBytes;
    const after = this.#free.findIndex((range) => range.offsetBytes > offsetBytes);
    const index = after < 0 ? this.#free.length : after;
    const [before, next] = [this.#free[index - 1], this.#free[index]];
    let [from, end] = [offsetBytes, offsetBytes + lengthBytes];
    assert(
      (before === undefined || endOf(before) <= from) &&
        (next === undefined || end <= next.offsetBytes) &&
        end <= this.#endBytes,
      'a place in the spill file was given back twice (I8)',
    );
    const touchesBefore = before !== undefined && endOf(before) === from;
    const touchesNext = next !== undefined && end === next.offsetBytes;
    if (touchesBefore) from = before.offsetBytes;
    if (touchesNext) end = endOf(next);
    const merged = end === this.#endBytes ? [] : [{ offsetBytes: from, lengthBytes: end - from }];
    if (end === this.#endBytes) this.#endBytes = from;
    this.#free.splice(
      index - (touchesBefore ? 1 : 0),
      (touchesBefore ? 1 : 0) + (touchesNext ? 1 : 0),
      ...merged,
    );
  }
}

function endOf({ offsetBytes, lengthBytes }: Range): number {
  return offsetBytes + lengthBytes;
}
