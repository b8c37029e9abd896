/** @module */
import { expect, it } from 'vitest';
import { startNotice } from './run-notices.ts';

const LOGGED = {
  checkpointDir: '/c',
  mirrorDir: false,
  durability: 'sync',
  onWalFailure: 'stop',
} as const;

it('says nothing of a run with a log', () => {
  expect(startNotice(LOGGED)).toBeUndefined();
  expect(startNotice({ ...LOGGED, mirrorDir: '/m', durability: 'flush' })).toBeUndefined();
});

it('says that nothing is kept without a directory, and what is not without a log', () => {
  const none = { ...LOGGED, checkpointDir: false, durability: 'off' } as const;
  expect(startNotice(none)).toMatch(/^no checkpoint directory: records do not survive/);
  const off = { ...LOGGED, durability: 'off' } as const;
  expect(startNotice(off)).toMatch(/^the log is off: .* whatever was acknowledged$/);
});

it('names what is of no use without a log', () => {
  const off = { ...LOGGED, durability: 'off' } as const;
  expect(startNotice({ ...off, mirrorDir: '/m' })).toMatch(/copy in \/m has none of them either$/);
  expect(startNotice({ ...off, onWalFailure: 'quarantine' })).toMatch(/quarantine.* of no use$/);
});
