/** `millrace tune` as its users run it, from dist/: that it works from the first sample to the page,
 * calls no output, and leaves nothing behind, whatever ends it. Says nothing of any speed: on a busy
 * machine a delay may grow, and then it is right that nothing is recommended. @module */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { tunePage as pageOfReport } from '../../src/cli/tune/tune-page.ts';
import type { RateResult, TuneReport } from '../../src/cli/tune/tune-report.ts';
import { CommandProcess, untilSaid } from '../support/command.ts';
import { runPage } from '../support/tiny-page.ts';

let place: string;
let disk: string;
const runs: CommandProcess[] = [];

const PIPELINE = (input: string): string => `
import { appendFileSync } from 'node:fs';
import { Receiver, definePipeline } from 'millrace';
const quarantine = { onWalFailure: 'quarantine', quarantineDir: 'quarantine' };
const small = { memory: '16MiB', receiverSegmentBytes: '4MiB' };
const options = { name: 'counts', checkpointDir: 'home', ...small, ...quarantine };
class Own extends Receiver { onStart() {} onStop() {} }
export default definePipeline({ ...options, driverSegmentBytes: '1MiB' }, (ssc) => {
  const counts = ssc.${input}
    .mapToPair((line) => [line.length, 1])
    .reduceByKey((a, b) => a + b);
  counts.foreachBatch(() => appendFileSync('called', 'foreachBatch'));
  counts.foreachPartition(() => appendFileSync('called', 'foreachPartition'));
  counts.saveAsTextFiles('saved/x');
});
`;

const ONE_SETTING =
  '--batch-intervals 100ms --block-intervals 50ms --receivers 1 --executors 1 --dir disk'.split(
    ' ',
  );

beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'millrace-tune-test-'));
  disk = join(place, 'disk');
  mkdirSync(disk);
  mkdirSync(join(place, 'node_modules')); // for the bundle
  writeFileSync(join(place, 'made.mjs'), PIPELINE('generatorStream({ recordsPerSecond: 2_000 })'));
  writeFileSync(join(place, 'http.mjs'), PIPELINE('httpTextStream({ port: 1 })'));
  writeFileSync(join(place, 'own.mjs'), PIPELINE('receiverStream(() => new Own())'));
  writeFileSync(join(place, 'lines.txt'), 'one\nthree\nfive\n');
});

afterAll(async () => {
  for (const { child } of runs) child.kill('SIGKILL');
  await Promise.all(runs.map(({ ended }) => ended));
  rmSync(place, { recursive: true, force: true });
});

function tune(...args: readonly string[]): CommandProcess {
  const run = new CommandProcess(['tune', ...args], place);
  runs.push(run);
  return run;
}

function nothingIsLeft(): void {
  expect(readdirSync(disk)).toEqual([]);
  expect(existsSync(join(place, 'called'))).toBe(false);
  for (const name of ['saved', 'quarantine', 'home']) {
    expect(existsSync(join(place, name)), name).toBe(false);
  }
}

it('runs the pipeline, calls no output, and says what to paste', async () => {
  const files = ['--json', 'report.json', '--html', 'report.html'];
  const ended = await tune('made.mjs', '--budget', '4s', ...ONE_SETTING, ...files).ended;
  const report = JSON.parse(readFileSync(join(place, 'report.json'), 'utf8')) as TuneReport;
  const { recommendation } = report;
  expect(ended).toMatchObject({ code: recommendation === null ? 1 : 0, signal: null });
  expect(ended.out).toContain(
    recommendation === null
      ? 'No setting was seen to sustain'
      : '\n  --batch-interval 100ms --block-interval 50ms --receiver-executors 1 --executors 1\n',
  );
  expect(ended.out).toContain('- Outputs were not measured');
  expect(ended.out).toContain('(quarantineDir) was left out');
  expect(report).toMatchObject({ format: 'millrace-tune', pipeline: 'counts', directory: disk });
  const samples = report.settings.flatMap(({ rates }) => rates.flatMap((each) => each.samples));
  expect(samples).toHaveLength(report.sampleCount);
  for (const sample of samples) {
    expect(sample.recordsPerSecond).toBeGreaterThan(0);
    expect(sample.outputRecordsPerSecond).toBeGreaterThan(0);
  }
  const page = readFileSync(join(place, 'report.html'), 'utf8');
  expect((await runPage(page)).drawnIn('curves')).toEqual([]); // one rate is no line
  expect(page).not.toMatch(/\b(?:src|href)=["']?\w|@import|sourceMappingURL/);
  nothingIsLeft();
});

/** The page of a report in which each setting was seen at two rates: a run may have had no time. */
it('draws a line for each setting by itself', async () => {
  const report = JSON.parse(readFileSync(join(place, 'report.json'), 'utf8')) as TuneReport;
  const atRate = (rate: number) => (each: RateResult) => ({
    ...each,
    wantedRate: rate,
    recordsPerSecond: { min: rate, median: rate, max: rate },
  });
  const settings = report.settings.map(({ setting, rates }) => {
    const [first] = rates.slice(0, 1).map(atRate(100));
    const [second] = rates.slice(0, 1).map(atRate(200));
    return { setting, rates: [first, second].flatMap((each) => each ?? []) };
  });
  const built = new URL('../../dist/cli/tune/tune-page.js', import.meta.url).href;
  const { tunePage } = (await import(built)) as { readonly tunePage: typeof pageOfReport };
  const { drawnIn } = await runPage(tunePage({ ...report, settings }));
  expect(drawnIn('curves')).toContain('text records/s');
  expect(drawnIn('curves').some((each) => each.includes('points'))).toBe(true);
});

it('puts lines of a file in place of a source that is not at hand', async () => {
  const given = ['--lines', 'lines.txt', '--rate', '500', '--json', '-', '--budget', '1s'];
  const { out, code } = await tune('http.mjs', ...ONE_SETTING, ...given).ended;
  const report = JSON.parse(out) as TuneReport;
  expect(code).toBe(report.recommendation === null ? 1 : 0);
  expect(report).toMatchObject({ wantedRate: 500, hasLines: true, sampleCount: 1 });
  const [sample] = report.settings[0]?.rates[0]?.samples ?? [];
  expect(sample?.wantedRate).toBe(500);
  expect(sample?.recordsPerSecond).toBeGreaterThan(0);
  expect(sample?.ackMs?.p50).toBeGreaterThan(0);
  nothingIsLeft();
});

it('SIGINT ends it with the numbers so far, and leaves nothing behind', async () => {
  const run = tune('made.mjs', '--budget', '10m', ...ONE_SETTING);
  await untilSaid(run, '2: batch 100ms');
  run.child.kill('SIGINT');
  const { code, out } = await run.ended;
  expect(code).toBe(130);
  expect(out).toContain('- It was interrupted: these are the numbers so far.');
  expect(out).toMatch(/^\d+ samples? of 1 of 1 settings/m);
  nothingIsLeft();
});

it('says early what it waits for when nothing comes', async () => {
  const run = tune('own.mjs', '--budget', '10m', ...ONE_SETTING);
  await untilSaid(run, 'no batch has had records of receiverStream-0 yet: waiting up to 13 s more');
  run.child.kill('SIGINT');
  const { code, out, err } = await run.ended;
  expect({ code, out }).toEqual({ code: 130, out: '' });
  expect(err).toContain('interrupted before the first sample was over: there are no numbers');
  nothingIsLeft();
});

it('says all that is wrong with a call, and touches nothing', async () => {
  const { code, out, err } = await tune('made.mjs', '--budget', 'x', '--wat', '--rate', '0').ended;
  expect({ code, out }).toEqual({ code: 64, out: '' });
  expect(err).toContain('3 things are wrong:');
  const places = await tune('made.mjs', '--dir', 'none', '--lines', 'gone', '--json', 'a/b').ended;
  expect(places.code).toBe(64);
  for (const part of ['there is no directory', '--lines: there is no file', '--json a/b']) {
    expect(places.err).toContain(part);
  }
  writeFileSync(join(place, 'empty.txt'), '');
  const empty = await tune('http.mjs', '--lines', 'empty.txt', '--dir', 'disk').ended;
  expect([empty.code, empty.err]).toEqual([64, expect.stringContaining('empty.txt is empty')]);
  const own = await tune('own.mjs', '--lines', 'lines.txt', '--dir', 'disk').ended;
  expect(own.code).toBe(64);
  expect(own.err).toContain('--lines can stand in for');
  expect(own.err).toContain('receiverStream-0');
  nothingIsLeft();
});
