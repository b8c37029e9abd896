/** @module */
import { expect, it } from 'vitest';
import { ActiveContexts } from './active-contexts.ts';

const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ description: `pipeline ${name}` })) as [
  { readonly description: string },
  { readonly description: string },
  { readonly description: string },
];

it('one at a time: a second one is refused by name, until the first has ended', () => {
  const active = new ActiveContexts();
  active.enter(a, false);
  const refused = { code: 'CONTEXT_STATE', message: expect.stringContaining('pipeline a') };
  expect(() => active.enter(b, false)).toThrow(expect.objectContaining(refused));
  expect(active.first).toBe(a);
  active.leave(a);
  expect(active.first).toBeUndefined();
  active.enter(b, false);
  expect(active.first).toBe(b);
});

it('those that say so run beside others, and do not open the door for the rest', () => {
  const active = new ActiveContexts();
  active.enter(a, false);
  active.enter(b, true);
  expect(active.first).toBe(a);
  active.leave(a);
  expect(active.first).toBe(b);
  expect(() => active.enter(c, false)).toThrow('pipeline b is active');
  active.leave(c); // it never entered
  expect(active.first).toBe(b);
});
