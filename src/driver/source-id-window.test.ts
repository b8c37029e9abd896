/** @module */
import { describe, expect, it } from 'vitest';
import type { SourceId } from '../blocks/block-ref.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { SourceIdWindow } from './source-id-window.ts';

/** Keys are evicted by chunks of this many. */
const CHUNK = 1_024;

function id(n: number, digest = 'd'): SourceId {
  return { key: `k${n}`, digest, recordCount: n };
}

function windowOf(idsMax: number, count: number): SourceIdWindow {
  const window = new SourceIdWindow(idsMax);
  for (let n = 0; n < count; n += 1) window.add(id(n));
  return window;
}

/** Which of the keys k0 … are known. */
function known(window: SourceIdWindow, count: number): number[] {
  return [...Array(count).keys()].filter((n) => window.get(`k${n}`) !== undefined);
}

describe('SourceIdWindow', () => {
  it('gives what came with a key', () => {
    const window = windowOf(10, 3);
    expect(window.get('k2')).toEqual(id(2));
    expect(window.get('k3')).toBeUndefined();
    expect(window.size).toBe(3);
  });

  it.each([
    [1, 5_000],
    [100, 5_000],
    [CHUNK, 4 * CHUNK],
    [2_000, 10_000],
  ])('remembers the newest %i of %i keys, and at most a chunk more', (idsMax, count) => {
    const window = windowOf(idsMax, count);
    const kept = known(window, count);
    expect(kept.at(-1)).toBe(count - 1);
    expect(kept).toHaveLength((kept.at(-1) ?? 0) - (kept[0] ?? 0) + 1);
    expect(kept.length).toBeGreaterThanOrEqual(idsMax);
    expect(kept.length).toBeLessThanOrEqual(idsMax + CHUNK);
    expect(window.size).toBe(kept.length);
  });

  it('remembers a key that came again as long as its newer content', () => {
    const window = windowOf(10, CHUNK - 1);
    window.add(id(0, 'again'));
    expect(window.get('k0')?.digest).toBe('again');
    for (let n = CHUNK; n < CHUNK + 5; n += 1) window.add(id(n));
    window.add(id(1, 'again'));
    for (let n = CHUNK + 5; n < 2 * CHUNK; n += 1) window.add(id(n));
    expect(window.get('k2')).toBeUndefined();
    expect(window.get('k1')?.digest).toBe('again');
  });

  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5_000])(
    'comes back packed, with %i keys',
    (count) => {
      const window = windowOf(3_000, count);
      const again = SourceIdWindow.unpack(window.pack(msgpackCodec), msgpackCodec, 3_000);
      expect(again.size).toBe(window.size);
      expect(known(again, count)).toEqual(known(window, count));
      for (const n of known(window, count)) expect(again.get(`k${n}`)).toEqual(id(n));
      // And it goes on as the original does.
      for (let n = count; n < count + 3_000; n += 1)
        for (const each of [window, again]) each.add(id(n));
      expect(known(again, count + 3_000)).toEqual(known(window, count + 3_000));
    },
  );

  it('packs what was added after it was packed', () => {
    const window = windowOf(5_000, CHUNK + 2);
    window.pack(msgpackCodec);
    window.add(id(CHUNK + 2));
    const again = SourceIdWindow.unpack(window.pack(msgpackCodec), msgpackCodec, 5_000);
    expect(again.size).toBe(CHUNK + 3);
  });

  it('shrinks to a smaller window when it is read back', () => {
    const packed = windowOf(10_000, 8_000).pack(msgpackCodec);
    const again = SourceIdWindow.unpack(packed, msgpackCodec, 100);
    expect(again.get('k7999')).toBeDefined();
    expect(again.size).toBeLessThanOrEqual(100 + CHUNK);
  });
});
