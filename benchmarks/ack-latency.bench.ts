/** Question: how long does an HTTP client wait until its lines are durable and registered?
 *
 * Read as: beside `--block-interval`, which is how long a block waits for more records, and beside
 * the disk's own synced 4 KiB write above the table; every answer has two syncs behind it, of the
 * receiver log and of the driver log. Lines that were acknowledged are counted at the end.
 * @module */
import { quantile } from '../src/cli/bench/statistics.ts';
import { defineBenchmark } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import { LINES_PER_POST, freePort, runLoad } from './http-load.ts';

export const ackLatency = defineBenchmark({
  name: 'ack-latency',
  question: 'How long does an HTTP client wait until its lines are durable and registered?',
  axes: { clients: [1, 16], blockInterval: ['5ms', '50ms', '200ms'] },
  smokeAxes: { clients: [4], blockInterval: ['5ms'] },
  seconds: 8,
  metrics: {
    latencyMsP50: { unit: 'ms p50', digits: 1 },
    latencyMsP99: { unit: 'ms p99', digits: 1 },
    postsPerSecond: { unit: 'POST/s', digits: 0 },
  },
  async measure({ clients, blockInterval }, { directory, seconds, isSmoke }) {
    const port = await freePort();
    const options = {
      pipeline: 'http-lines.pipeline.ts',
      flags: ['--block-interval', blockInterval],
      env: { MILLRACE_BENCH_PORT: String(port) },
      directory,
    };
    return withEngine(options, async (engine) => {
      await engine.line('engine-started');
      const load = { port, clients, warmUpMs: isSmoke ? 100 : 1_000, seconds };
      const { latenciesMs, acknowledged, seconds: passed } = await runLoad(load);
      await engine.stop();
      const counts = engine.output.filter((line) => /^\d+$/.test(line)).map(Number);
      const counted = counts.reduce((sum, count) => sum + count, 0);
      if (counted !== acknowledged * LINES_PER_POST) {
        throw new Error(`${acknowledged} POSTs were acknowledged, and ${counted} lines counted`);
      }
      return {
        latencyMsP50: quantile(latenciesMs, 0.5),
        latencyMsP99: quantile(latenciesMs, 0.99),
        postsPerSecond: latenciesMs.length / passed,
      };
    });
  },
});
