/** @module */
import { describe, expect, it } from 'vitest';
import { nextStep } from './restart-policy.ts';
import type { ChildEnd } from './restart-policy.ts';

const killed: ChildEnd = {
  exitCode: null,
  signalExitCode: 137,
  ranMs: 1_000,
  hasCompletedBatch: true,
};

function exited(exitCode: number, hasCompletedBatch = true): ChildEnd {
  return { exitCode, signalExitCode: 0, ranMs: 1_000, hasCompletedBatch };
}

describe('nextStep', () => {
  it('starts a killed and a failed engine again', () => {
    expect(nextStep([killed], false)).toEqual({ kind: 'restart', delayMs: 500 });
    expect(nextStep([exited(1)], false)).toEqual({ kind: 'restart', delayMs: 500 });
  });

  it.each([0, 2, 64, 74, 75])('ends after exit code %i, and with it', (exitCode) => {
    expect(nextStep([killed, exited(exitCode)], false)).toMatchObject({ kind: 'end', exitCode });
  });

  it('doubles the delay up to 30 seconds', () => {
    const delays = Array.from({ length: 9 }, (_, index) =>
      nextStep(
        Array.from({ length: index + 1 }, () => killed),
        false,
      ),
    ).map((step) => (step.kind === 'restart' ? step.delayMs : 'end'));
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('begins anew with a short delay after a life of a minute', () => {
    const healthy = { ...killed, ranMs: 60_000 };
    expect(nextStep([killed, killed, killed, healthy], false)).toMatchObject({ delayMs: 500 });
    expect(nextStep([killed, killed, healthy, killed], false)).toMatchObject({ delayMs: 1_000 });
  });

  const fruitless = exited(1, false);
  const times = (count: number): ChildEnd[] => Array.from({ length: count }, () => fruitless);

  it('gives up when the first five starts complete no batch', () => {
    expect(nextStep(times(4), false)).toMatchObject({ kind: 'restart' });
    expect(nextStep(times(5), false)).toMatchObject({ kind: 'end', exitCode: 1 });
  });

  it('goes on for as long as it takes once a batch was completed', () => {
    expect(nextStep([killed, ...times(50)], false)).toEqual({ kind: 'restart', delayMs: 30_000 });
  });

  it('never starts again once a stop was asked for', () => {
    expect(nextStep([killed], true)).toMatchObject({ kind: 'end', exitCode: 137 });
  });
});
