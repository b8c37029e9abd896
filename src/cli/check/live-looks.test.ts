/** @module */
import { expect, it } from 'vitest';
import { lookUntilSure } from './live-looks.ts';

/** Looks that end as told, one after the other; the last one again and again. */
function looks(ends: readonly string[], { isRunning = true, isWritten = true } = {}) {
  let [count, stamps] = [0, 0];
  const looking = lookUntilSure({
    directory: '/d',
    isRunning,
    stamp: () => Promise.resolve(String(isWritten ? (stamps += 1) : 0)),
    look: () => {
      const end = ends[Math.min(count, ends.length - 1)] ?? '';
      count += 1;
      return end === 'fine' ? Promise.resolve(end) : Promise.reject(new Error(end));
    },
  });
  return looking.catch((error: unknown) => error).then((end) => [end, count] as const);
}

it('one that finds nothing bad is enough, after however many others', async () => {
  expect(await looks(['fine'])).toEqual(['fine', 1]);
  const others = Array.from({ length: 12 }, (_, n) => `record ${n} is missing`);
  expect(await looks([...others, 'fine'])).toEqual(['fine', 13]);
});

it('what two in a row find counts, or one while nobody writes', async () => {
  expect(await looks(['a', 'b', 'b'])).toEqual([new Error('b'), 3]);
  expect(await looks(['a', 'b'], { isRunning: false, isWritten: false })).toEqual([
    new Error('a'),
    1,
  ]);
  expect(await looks(['a', 'b', 'b'], { isRunning: false })).toEqual([new Error('b'), 3]);
});

it('what is another error each time is no verdict', async () => {
  const [end, count] = await looks(Array.from({ length: 50 }, (_, n) => `record ${n} is missing`));
  expect(end).toMatchObject({ code: 'DIRECTORY_LOCKED' });
  expect(count).toBe(20);
});
