/** @module */
import { describe, expect, it } from 'vitest';
import { nextLife } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import { chooseCopy } from './copy-choice.ts';
import type { CopyFacts } from './copy-choice.ts';

const LOG_ID = '0123456789abcdef0123456789abcdef';
const first: Manifest = {
  logId: LOG_ID,
  pipelineName: 'p',
  epoch: 1,
  copies: 2,
  lives: ['aaaaaaaa'],
};
const shared = (from: Manifest, life: string): Manifest => nextLife(from, { life, copies: 2 });
const alone = (from: Manifest, life: string): Manifest => nextLife(from, { life, copies: 1 });

function copy(directory: string, manifest: Manifest): CopyFacts {
  return {
    directory,
    manifest,
    damage: undefined,
    isIncomplete: false,
    hasLogs: true,
    hasCheckpoints: true,
    logId: manifest.logId,
    logEpoch: manifest.epoch,
  };
}

function without(directory: string, more: Partial<CopyFacts> = {}): CopyFacts {
  const nothing = { manifest: undefined, hasLogs: false, hasCheckpoints: false };
  return { ...copy(directory, first), ...nothing, logId: undefined, logEpoch: 0, ...more };
}

/** The choice, whichever of them is named first. */
function choose(one: CopyFacts, other: CopyFacts) {
  const choice = chooseCopy([one, other]);
  const swapped = chooseCopy([other, one]);
  expect(swapped.kind).toBe(choice.kind);
  if (choice.kind === 'restore') expect(swapped).toMatchObject({ from: 1 - choice.from });
  return choice;
}

describe('two copies', () => {
  it('of one life are peers', () => {
    expect(choose(copy('/a', first), copy('/b', { ...first }))).toMatchObject({ kind: 'peers' });
  });

  it('are peers too when the next life had only begun in one of them', () => {
    const begun = { ...copy('/a', shared(first, 'bbbbbbbb')), logEpoch: 1 };
    expect(chooseCopy([copy('/b', first), begun])).toEqual({ kind: 'peers', preferred: 1 });
  });

  it('of which one went on with another second place: that one counts', () => {
    const choice = choose(copy('/a', first), copy('/b', shared(first, 'bbbbbbbb')));
    expect(choice).toMatchObject({ kind: 'restore', from: 1 });
  });

  it('of which one went on alone: that one counts', () => {
    const choice = choose(copy('/a', first), copy('/b', alone(first, 'bbbbbbbb')));
    expect(choice).toMatchObject({ kind: 'restore', from: 1 });
    const far = shared(shared(alone(first, 'bbbbbbbb'), 'cccccccc'), 'dddddddd');
    expect(choose(copy('/a', first), copy('/b', far))).toMatchObject({ kind: 'restore', from: 1 });
  });

  it('that both went on alone are refused, and both are named', () => {
    const one = copy('/a', alone(first, 'bbbbbbbb'));
    const other = copy('/b', alone(alone(first, 'cccccccc'), 'dddddddd'));
    for (const pair of [[one, other] as const, [other, one] as const]) {
      expect(() => chooseCopy(pair)).toThrow(
        /without each other[^]*\/[ab]: epoch[^]*\/[ab]: epoch/,
      );
    }
  });

  it('of different directories are refused', () => {
    const other = copy('/b', { ...first, logId: 'f'.repeat(32) });
    expect(() => chooseCopy([copy('/a', first), other])).toThrow('belong to different logs');
  });

  it('of which one has no lives to compare are refused', () => {
    const old = copy('/b', { ...first, lives: [] });
    expect(() => chooseCopy([copy('/a', first), old])).toThrow('too far apart');
  });

  it.each<[string, Partial<CopyFacts>]>([
    ['empty', {}],
    ['of checkpoints only', { hasCheckpoints: true }],
    ['half made', { isIncomplete: true, hasLogs: true, logId: LOG_ID, logEpoch: 9 }],
    ['without its MANIFEST', { hasLogs: true, logId: LOG_ID, logEpoch: 1 }],
    ['with a damaged MANIFEST', { damage: 'rot', hasLogs: true, logId: LOG_ID, logEpoch: 1 }],
  ])('of which one is %s: it is made from the other', (_what, facts) => {
    const choice = choose(copy('/a', first), without('/b', facts));
    expect(choice).toMatchObject({ kind: 'restore', from: 0 });
  });

  it('of which the one without a MANIFEST may be ahead are refused', () => {
    const logs = { hasLogs: true, logId: LOG_ID };
    for (const damage of ['rot', undefined]) {
      const newer = without('/b', { ...logs, damage, logEpoch: 2 });
      expect(() => chooseCopy([copy('/a', first), newer])).toThrow('/b');
      const other = without('/b', { ...logs, damage, logEpoch: 2 });
      const one = copy('/a', alone(first, 'bbbbbbbb'));
      expect(() => chooseCopy([one, other])).toThrow('they may hold records');
    }
  });

  it('of which one has logs of another directory are refused', () => {
    const foreign = without('/b', { hasLogs: true, logId: 'f'.repeat(32), logEpoch: 1 });
    expect(() => chooseCopy([copy('/a', first), foreign])).toThrow('another checkpoint directory');
  });

  it('that are both empty are fresh', () => {
    expect(choose(without('/a'), without('/b'))).toEqual({ kind: 'fresh' });
  });

  it('of which none has a MANIFEST, and one has something, are refused', () => {
    const broken: Partial<CopyFacts>[] = [
      { damage: 'rot' },
      { isIncomplete: true },
      { hasCheckpoints: true },
      { hasLogs: true, logId: LOG_ID, logEpoch: 1 },
    ];
    for (const facts of broken) {
      expect(() => chooseCopy([without('/a'), without('/b', facts)])).toThrow(/neither.*\/a.*\/b/s);
    }
  });
});
