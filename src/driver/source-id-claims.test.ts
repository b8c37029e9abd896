/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { LINES } from '../../test/support/block-samples.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { ReceiverLife } from '../workers/protocol.ts';
import { lifeOf, settle } from '../../test/support/receiver-side.ts';
import type { StreamId } from '../core/ids.ts';
import type { ClaimOutcome } from '../dstream/receiver.ts';
import { SourceIdClaims } from './source-id-claims.ts';

const LIMIT_MS = 30_000;
const A = lifeOf();
const B = lifeOf({ receiverIndex: 1 });

let clock: ManualClock;
let registered: Map<string, { digest: string; recordCount: number }>;
let claims: SourceIdClaims;
/** Lives that have ended. */
let over: Set<ReceiverLife>;

beforeEach(() => {
  clock = new ManualClock();
  registered = new Map();
  over = new Set();
  claims = new SourceIdClaims({
    isCurrent: (life) => !over.has(life),
    clock,
    known: (streamId, key) => registered.get(`${streamId} ${key}`),
  });
});

/** The store of `key` is durable. */
function register(key: string, digest = 'd'): void {
  registered.set(`${LINES} ${key}`, { digest, recordCount: 7 });
  claims.settle(LINES, key);
}

/** What a claim has answered so far. */
function watch(claim: Promise<ClaimOutcome>): { outcome: ClaimOutcome | Error | undefined } {
  const seen: { outcome: ClaimOutcome | Error | undefined } = { outcome: undefined };
  claim.then(
    (outcome) => (seen.outcome = outcome),
    (error: Error) => (seen.outcome = error),
  );
  return seen;
}

const NEW = { kind: 'new' };
const KNOWN = { kind: 'known', recordCount: 7 };
const CONFLICT = { kind: 'conflict' };

describe('a claim', () => {
  it('is new the first time, and again for another key or another input', async () => {
    expect(await claims.claim(A, 'k', 'd')).toEqual(NEW);
    expect(await claims.claim(A, 'j', 'd')).toEqual(NEW);
    const other = lifeOf({ streamId: 'other' as StreamId });
    expect(await claims.claim(other, 'k', 'd')).toEqual(NEW);
  });

  it('is known when the key is registered', async () => {
    register('k');
    expect(await claims.claim(A, 'k', 'd')).toEqual(KNOWN);
  });

  it('is a conflict with another content, registered or on its way', async () => {
    register('k');
    expect(await claims.claim(A, 'k', 'other')).toEqual(CONFLICT);
    await claims.claim(A, 'j', 'd');
    expect(await claims.claim(B, 'j', 'other')).toEqual(CONFLICT);
  });

  it('is not given to a life that ended while it waited', async () => {
    await claims.claim(A, 'k', 'd');
    const waiting = watch(claims.claim(B, 'k', 'd'));
    over.add(B);
    claims.settle(LINES, 'k');
    await settle();
    expect(waiting.outcome).toMatchObject({ code: 'RECEIVER_STOPPED' });
    expect(await claims.claim(A, 'k', 'd')).toEqual(NEW);
  });

  it('waits for the one before, and is known when that is registered', async () => {
    await claims.claim(A, 'k', 'd');
    const [second, third] = [watch(claims.claim(B, 'k', 'd')), watch(claims.claim(A, 'k', 'd'))];
    await settle();
    expect([second.outcome, third.outcome]).toEqual([undefined, undefined]);
    register('k');
    await settle();
    expect([second.outcome, third.outcome]).toEqual([KNOWN, KNOWN]);
    expect(clock.pendingMs).toEqual([]);
  });

  it('goes to exactly one of those who wait when the one before failed', async () => {
    await claims.claim(A, 'k', 'd');
    const [second, third] = [watch(claims.claim(B, 'k', 'd')), watch(claims.claim(B, 'k', 'd'))];
    await settle();
    claims.settle(LINES, 'k');
    await settle();
    expect(second.outcome).toEqual(NEW);
    expect(third.outcome).toBeUndefined();
    register('k');
    await settle();
    expect(third.outcome).toEqual(KNOWN);
  });

  it('is free again when its life is over', async () => {
    await claims.claim(A, 'k', 'd');
    await claims.claim(B, 'j', 'd');
    const waiting = [watch(claims.claim(B, 'k', 'd')), watch(claims.claim(A, 'j', 'd'))];
    await settle();
    claims.releaseLives((life) => life.receiverIndex === A.receiverIndex);
    await settle();
    expect(waiting[0]?.outcome).toEqual(NEW);
    expect(waiting[1]?.outcome).toBeUndefined();
  });

  it('does not wait for ever', async () => {
    await claims.claim(A, 'k', 'd');
    const second = watch(claims.claim(B, 'k', 'd'));
    await settle();
    clock.advance(LIMIT_MS - 1);
    await settle();
    expect(second.outcome).toBeUndefined();
    clock.advance(1);
    await settle();
    expect(second.outcome).toMatchObject({ code: 'BLOCK_REFUSED' });
    register('k'); // whoever gave up is not woken, and nothing breaks
    expect(await claims.claim(B, 'k', 'd')).toEqual(KNOWN);
  });
});

it('settling a key that nobody claimed does nothing', async () => {
  claims.settle(LINES, 'k');
  expect(await claims.claim(A, 'k', 'd')).toEqual(NEW);
});
