/** The tests that every kind of log has to pass: all of its bits flipped, all bytes changed, cut
 * everywhere, its sectors lost, moved and old. @module */
import { beforeAll, describe, expect, it } from 'vitest';
import { CorruptionRun, isAlone, randomFor } from './corruption-run.ts';
import { imageOf } from './log-image.ts';
import type { LogImage } from './log-image.ts';
import { bitFlips, byteChanges, cuts, pairs, sectors, tornWrites } from './log-harm.ts';
import { scaledTimeoutMs, wantedCases } from './sim-runs.ts';

const timeout = scaledTimeoutMs();
const IMAGE_BYTES = 64 * 1024;
const PAIRS = 20_000;
/** With the other log 1.4 million, of a million that have to be. */
const HARMS_MIN = 700_000;

export function describeCorruption(name: string, make: () => Promise<LogImage>): void {
  describe(name, () => {
    let image: LogImage = imageOf({ name, directory: '', segments: [] });
    let run = new CorruptionRun(image);

    beforeAll(async () => {
      image = await make();
      run = new CorruptionRun(image);
    });

    it('has several segments, a group that nothing in it witnesses, and 64 KiB', () => {
      expect(image.bytes.byteLength).toBe(IMAGE_BYTES);
      expect(image.files.length).toBeGreaterThan(1);
      const last = image.records.at(-1);
      expect(last?.durableLsn).toBeLessThan(last?.lsn ?? 0);
      expect(new Set(image.records.map(({ fileIndex }) => fileIndex)).size).toBe(
        image.files.length,
      );
    });

    it('is read whole when nothing was done to it', async () => {
      expect(await run.mistakesOf([{ kind: 'bytes', changes: [] }])).toEqual([]);
    });

    it('tells every flipped bit', { timeout }, async () => {
      expect(await run.mistakesOf(bitFlips(image))).toEqual([]);
    });

    it('tells every changed byte', { timeout }, async () => {
      expect(await run.mistakesOf(byteChanges(image, randomFor(1)))).toEqual([]);
    });

    it('tells every cut, with later segments and without', { timeout }, async () => {
      expect(await run.mistakesOf(cuts(image))).toEqual([]);
    });

    it('tells two harmed places', { timeout }, async () => {
      expect(await run.mistakesOf(pairs(image, randomFor(2), PAIRS))).toEqual([]);
    });

    it.each([512, 4096])(
      'tells sectors of %i bytes that are lost, moved or old',
      { timeout },
      async (bytes) => {
        expect(await run.mistakesOf(sectors(image, bytes))).toEqual([]);
      },
    );

    it('takes no unfinished write for damage', { timeout }, async () => {
      expect(await run.mistakesOf(tornWrites(image))).toEqual([]);
    });

    it.skipIf(isAlone)('was harmed often enough', () => {
      expect(run.count).toBeGreaterThan(wantedCases(HARMS_MIN));
    });
  });
}
