import { describe, expect, it } from 'vitest';
import { threadEntry } from './thread-entry.ts';

describe('threadEntry', () => {
  it.each([
    ['./a-main.ts', 'file:///p/src/workers/rpc.ts', 'file:///p/src/workers/a-main.ts'],
    ['./a-main.ts', 'file:///p/dist/workers/rpc.js', 'file:///p/dist/workers/a-main.js'],
    ['./a-main.js', 'file:///p/src/workers/rpc.ts', 'file:///p/src/workers/a-main.ts'],
    ['../workers/a-main.ts', 'file:///p/dist/driver/p.js?v=1', 'file:///p/dist/workers/a-main.js'],
    ['./a-main.ts', 'file:///p%20q/src/rpc.ts?v=1', 'file:///p%20q/src/a-main.ts'],
  ])('%s from %s', (relative, base, expected) => {
    expect(threadEntry(relative, base).href).toBe(expected);
  });

  it.each(['a-main.ts', './a-main', '/a-main.ts'])('refuses %s', (relative) => {
    expect(() => threadEntry(relative, 'file:///p/src/rpc.ts')).toThrow('no relative path');
  });
});
