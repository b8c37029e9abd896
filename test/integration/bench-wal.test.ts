/** `millrace bench wal` as its users run it, from dist/: that it works from the first sample to the
 * page, and that nothing is left behind, whatever ends it. Says nothing of any speed.
 *
 * The page's own scripts, uPlot among them, are run on a page made of as little as they need
 * (test/support/tiny-page.ts). @module */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BenchReport } from '../../src/cli/bench/bench-report.ts';
import { CommandProcess, untilSaid } from '../support/command.ts';
import { runPage } from '../support/tiny-page.ts';

let place: string;
let disk: string;
const runs: CommandProcess[] = [];

beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'millrace-bench-test-'));
  disk = join(place, 'disk');
  mkdirSync(disk);
});

afterAll(async () => {
  for (const { child } of runs) child.kill('SIGKILL');
  await Promise.all(runs.map(({ ended }) => ended));
  rmSync(place, { recursive: true, force: true });
});

function bench(...args: readonly string[]): CommandProcess {
  const run = new CommandProcess(['bench', 'wal', ...args], place);
  runs.push(run);
  return run;
}

describe('a smoke run', () => {
  let report: BenchReport;
  let page: string;
  let out: string;
  let err: string;

  beforeAll(async () => {
    const files = ['--json', 'report.json', '--html', 'report.html'];
    // Two threads, two logs; both levels that sync.
    const cells = ['--wal', 'off,flush,sync', '--receivers', '2'];
    const ended = await bench('--smoke', ...cells, ...files, 'disk').ended;
    expect(ended).toMatchObject({ code: 0, signal: null });
    ({ out, err } = ended);
    report = JSON.parse(readFileSync(join(place, 'report.json'), 'utf8')) as BenchReport;
    page = readFileSync(join(place, 'report.html'), 'utf8');
  });

  it('leaves nothing in the directory', () => {
    expect(readdirSync(disk)).toEqual([]);
    expect(readdirSync(place).toSorted()).toEqual(['disk', 'report.html', 'report.json']);
  });

  it('has numbers of every cell, of the disk and of the machine', () => {
    expect(report).toMatchObject({ format: 'millrace-bench-wal', version: 1, isSmoke: true });
    expect(report).toMatchObject({ repetitions: 1, directory: disk, batchIntervalMs: 200 });
    expect(report.cells.map(({ cell }) => cell)).toEqual(
      ['off', 'flush', 'sync'].map((wal) => ({
        wal,
        receivers: 2,
        blockIntervalMs: 50,
        recordBytes: 100,
      })),
    );
    for (const { recordsPerSecond, cpuNsPerRecord, ackMs, samples } of report.cells) {
      for (const { min, median, max } of [recordsPerSecond, cpuNsPerRecord, ackMs.p50]) {
        expect(min).toBeGreaterThan(0);
        expect([median, max]).toEqual([min, min]); // one sample
      }
      expect(samples).toHaveLength(1);
      expect(samples[0]?.ackMs.count).toBeGreaterThan(0);
    }
    const logged = report.cells.map(({ samples }) => (samples[0]?.logBytesPerSecond ?? 0) > 0);
    expect(logged).toEqual([false, true, true]);
    expect(report.cells[0]).not.toHaveProperty('cost');
    expect(report.cells[2]?.cost?.speedPercent.median).toEqual(expect.any(Number));
    expect(report.syncs.map(({ wal }) => wal)).toContain('sync');
    expect(report.disk).toHaveLength(2);
    expect(report.disk[0]?.bytesPerSecond).toBeGreaterThan(0);
    expect(report.environment).toMatchObject({ node: process.version, cores: expect.any(Number) });
  });

  it('prints a table, words and doubts on standard output, and how far it is beside', () => {
    expect(out).toMatch(/^off +2 +50 ms +100 B +\d/m);
    expect(out).toMatch(/^sync +2 +50 ms +100 B +\d/m);
    expect(out).toContain('With 2 receivers, 50 ms, 100 B: without a log');
    expect(out).toContain('- A smoke run');
    expect(err).toMatch(/^3 of 3: sync, 2 receivers, 50 ms, 100 B \(\d+ s left\)$/m);
  });

  it('writes a page that draws all plots by itself, with the licence of what draws them', async () => {
    const { drawnIn } = await runPage(page);
    expect(drawnIn('throughput').filter((each) => each === 'fill 1 rects')).toHaveLength(3);
    expect(drawnIn('throughput')).toContain('text M records/s at full speed');
    expect(drawnIn('throughput')).toEqual(expect.arrayContaining(['text off', 'text sync']));
    expect(drawnIn('cost').filter((each) => each.startsWith('fill 1 rects'))).toHaveLength(2);
    expect(
      drawnIn('acknowledgements').filter((each) => /^fill \d+ points/.test(each)),
    ).toHaveLength(3);
    expect(drawnIn('syncs').some((each) => /^fill \d+ points/.test(each))).toBe(true);
    expect(page).toContain('Copyright (c) 2022 Leon Sorokin');
    expect(page).not.toMatch(/\b(?:src|href)=["']?\w|@import|sourceMappingURL/);
    expect(page).toContain('<td>sync</td>');
  });
});

it('prints JSON alone on standard output when asked to', async () => {
  const cell = ['--wal', 'sync', '--seconds', '0.1'];
  const { code, out } = await bench('--smoke', ...cell, '--json', '-', disk).ended;
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ format: 'millrace-bench-wal', cells: [{}] });
});

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends it with exit code %i and leaves nothing behind', async (signal, exitCode) => {
  const run = bench('--wal', 'sync', '--seconds', '600', disk);
  await untilSaid(run, '1 of 24: sync');
  run.child.kill(signal);
  expect(await run.ended).toMatchObject({ code: exitCode, out: '' });
  expect(readdirSync(disk)).toEqual([]);
});

it('says all that is wrong with a call, and touches nothing', async () => {
  writeFileSync(join(place, 'file'), '');
  const { code, out, err } = await bench('--wal', 'fsync', '--wat', '1', 'disk').ended;
  expect({ code, out }).toEqual({ code: 64, out: '' });
  expect(err).toContain('2 things are wrong:');
  const places = await bench('--json', 'none/a.json', '--html', 'disk', 'file').ended;
  expect(places.code).toBe(64);
  expect(places.err).toContain('3 things are wrong:');
  for (const part of [
    'there is no directory',
    '--json none/a.json',
    '--html disk is a directory',
  ]) {
    expect(places.err).toContain(part);
  }
  expect(readdirSync(disk)).toEqual([]);
});
