/** @module */
import { describe, expect, it } from 'vitest';
import { MEMORY_PAGE_BYTES, allocatePages, allocateSharedPages } from './shared-memory.ts';

describe('page-aligned memory', () => {
  it('rounds up to whole pages and starts zeroed', () => {
    const buffer = allocatePages(1);
    expect(buffer.byteLength).toBe(MEMORY_PAGE_BYTES);
    expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
  });

  it('gives a SharedArrayBuffer of exactly the size asked for when that is whole pages', () => {
    const buffer = allocateSharedPages(3 * MEMORY_PAGE_BYTES);
    expect(buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(buffer.byteLength).toBe(3 * MEMORY_PAGE_BYTES);
  });

  it('refuses nothing and too much', () => {
    expect(() => allocatePages(0)).toThrow(/cannot be allocated/);
    expect(() => allocateSharedPages(2 ** 33)).toThrow(/cannot be allocated/);
  });
});
