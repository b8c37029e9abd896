/** Question: how long does `store` wait for its acknowledgement at half of the full speed?
 *
 * What `millrace bench wal` measures, for one cell: full speed first, then half of it, records of
 * 100 bytes, one receiver, the log synced. Acknowledged means durable and registered. Read as: `of
 * the allowance`, which is the block interval (a block waits so long for more records) and five of
 * the disk's own synced 4 KiB writes at its p99, from the same run; 1 or less keeps the promise.
 * Every count is checked by the command.
 * @module */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchReport } from '../src/cli/bench/bench-report.ts';
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const SYNCS_ALLOWED = 5;

export const halfLoad = defineBenchmark({
  name: 'half-load',
  question: 'How long does `store` wait for its acknowledgement at half of the full speed?',
  axes: { blockIntervalMs: [5, 50] },
  smokeAxes: { blockIntervalMs: [5] },
  seconds: 4,
  metrics: {
    ackMsP50: { unit: 'ms p50', digits: 1 },
    ackMsP99: { unit: 'ms p99', digits: 1 },
    diskSyncMsP99: { unit: 'ms disk sync p99', digits: 2 },
    ofAllowance: { unit: 'of the allowance', digits: 2 },
  },
  async measure({ blockIntervalMs }, { directory, seconds, isSmoke }) {
    const json = join(directory, 'bench.json');
    const length = isSmoke ? ['--smoke'] : ['--seconds', String(seconds), '--repetitions', '1'];
    const cell = ['--wal', 'sync', '--receivers', '1', '--record-bytes', '100'];
    cell.push('--block-intervals', `${blockIntervalMs}ms`);
    await benchWal([...cell, ...length, '--json', json, directory]);
    return readReport(JSON.parse(readFileSync(json, 'utf8')) as BenchReport, blockIntervalMs);
  },
});

function benchWal(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, 'bench', 'wal', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let told = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`millrace bench wal ended with exit code ${code}:\n${told}`));
    });
  });
}

function readReport({ cells, disk }: BenchReport, blockIntervalMs: number): Sample {
  const ackMs = cells[0]?.ackMs;
  if (ackMs === undefined) throw new Error('nothing was acknowledged at half speed');
  const diskSyncMsP99 =
    disk.reduce((sum, { syncMsP99 }) => sum + syncMsP99, 0) / Math.max(1, disk.length);
  const ackMsP99 = ackMs.p99.median;
  return {
    ackMsP50: ackMs.p50.median,
    ackMsP99,
    diskSyncMsP99,
    ofAllowance: ackMsP99 / (blockIntervalMs + SYNCS_ALLOWED * diskSyncMsP99),
  };
}
