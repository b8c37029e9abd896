import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordedIo } from '../../../test/support/recorded-io.ts';
import { FAST, held, reportOf, taken } from '../../../test/support/tune-reports.ts';
import { MillraceError } from '../../core/errors.ts';
import { Interrupted } from '../bench/scratch.ts';
import { failedResultOf } from './failed-sample.ts';
import type { FailedSample } from './failed-sample.ts';
import { answerTune } from './tune-answer.ts';
import type { TuneOutcome } from './tune-answer.ts';
import type { TuneReport } from './tune-report.ts';

const SAMPLES = [taken(FAST, {}), ...held(FAST, 900, 3)];

let place: string;
let json: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'millrace-answer-'));
  json = join(place, 'report.json');
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

/** @returns what was said, and the exit code or what was thrown. */
function answered(
  run: Partial<TuneOutcome['run']>,
  report: TuneReport,
): { readonly out: string; readonly err: string; readonly end: unknown } {
  const { io, said } = recordedIo();
  const whole = { samples: SAMPLES, interrupted: undefined, failed: undefined, ...run };
  let end: unknown;
  try {
    end = answerTune(io, { json, html: undefined }, { run: whole, report });
  } catch (error) {
    end = error;
  }
  return { out: said.out.join(''), err: said.err.join(''), end };
}

describe('a sample that fails', () => {
  const error = new MillraceError('DISK_FULL', 'no room', { details: { directory: '/d' } });
  const failed: FailedSample = { number: 5, trial: { setting: FAST, wantedRate: 900 }, error };
  const report = reportOf(SAMPLES, { failedSample: failedResultOf(failed) });

  it('ends with its own exit code, and its name, when text and files are out', () => {
    const { out, end } = answered({ failed }, report);
    expect(out).toContain('counts sustains 900 records/s');
    expect(out).toContain('- Sample 5 (');
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
      sampleCount: 4,
      failedSample: { number: 5, wantedRate: 900, code: 'DISK_FULL', message: 'no room' },
    });
    expect(end).toMatchObject({
      code: 'DISK_FULL',
      exitCode: 74,
      message: expect.stringMatching(
        /^sample 5 \(batch 200ms.*, 900 records\/s\) failed: no/,
      ) as string,
      cause: error,
      details: { directory: '/d' },
    });
  });

  it('by a bug ends with that, and its stack', () => {
    const bug = new TypeError('a bug');
    expect(answered({ failed: { ...failed, error: bug } }, report).end).toBe(bug);
    expect(failedResultOf({ ...failed, error: bug })).toMatchObject({ code: null });
  });
});

it('ends with 0, with 1 where nothing was found, and with the signal’s own code', () => {
  expect(answered({}, reportOf(SAMPLES)).end).toBe(0);
  expect(answered({}, reportOf([taken(FAST, { growth: 'growing' })])).end).toBe(1);
  const interrupted = new Interrupted(143);
  expect(answered({ interrupted }, reportOf(SAMPLES)).end).toBe(143);
  const none = answered({ interrupted, samples: [] }, reportOf([]));
  expect(none).toMatchObject({ out: '', end: 143 });
  expect(none.err).toContain('there are no numbers');
});
