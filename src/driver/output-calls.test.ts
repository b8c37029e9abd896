/** @module */
import { expect, it } from 'vitest';
import { OutputCalls } from './output-calls.ts';

/** A gate that functions wait at. */
function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

it('a function is inside until it returns, through its awaits; others are not', async () => {
  const calls = new OutputCalls();
  const [wait, seen] = [gate(), [] as boolean[]];
  const running = calls.run(async () => {
    seen.push(calls.isInside);
    await wait.opened;
    seen.push(calls.isInside);
  });
  expect(calls.isInside).toBe(false);
  wait.open();
  await running;
  expect([seen, calls.isInside]).toEqual([[true, true], false]);
  calls.close();
});

it('what a function leaves behind is not inside any more', async () => {
  const calls = new OutputCalls();
  const [wait, left] = [gate(), [] as Promise<boolean>[]];
  await calls.run(() => {
    left.push(wait.opened.then(() => calls.isInside));
  });
  wait.open();
  expect(await Promise.all(left)).toEqual([false]);
  calls.close();
});

it('what the engine does for a function is not inside, as the function is', async () => {
  const calls = new OutputCalls();
  const seen: boolean[] = [];
  await calls.run(async () => {
    await calls.outside(async () => {
      await Promise.resolve();
      seen.push(calls.isInside);
    });
    seen.push(calls.isInside);
  });
  expect(seen).toEqual([false, true]);
  calls.close();
});

it('functions of another run are no matter of this one', async () => {
  const [one, other] = [new OutputCalls(), new OutputCalls()];
  await one.run(() => expect([one.isInside, other.isInside]).toEqual([true, false]));
  one.close();
});

it('a function of a run that another one has started is inside both', async () => {
  const [outer, inner] = [new OutputCalls(), new OutputCalls()];
  const seen: boolean[][] = [];
  const look = (): void => void seen.push([outer.isInside, inner.isInside]);
  await outer.run(() => inner.run(look));
  await inner.run(look);
  outer.close();
  await inner.run(look);
  inner.close();
  expect(seen).toEqual([
    [true, true],
    [false, true],
    [false, true],
  ]);
});

it('passes on what the function throws, at once or later', async () => {
  const calls = new OutputCalls();
  const thrown = (): never => {
    throw new Error('at once');
  };
  await expect(calls.run(thrown)).rejects.toThrow('at once');
  await expect(calls.run(() => Promise.reject(new Error('later')))).rejects.toThrow('later');
  expect(calls.isInside).toBe(false);
  calls.close();
});
