/** Question: how long is it from the command to a pipeline that takes records?
 *
 * Read as: milliseconds from the start of the process `millrace run PIPELINE.ts`, TypeScript
 * compiled, nothing cached but what the operating system caches. `http` until a client is let in;
 * `after-kill` recovers what a run at full speed left when it was killed: the more it left unread,
 * the longer. @module */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { defineBenchmark } from './benchmark.ts';
import { EngineProcess, withEngine } from './engine-process.ts';
import { freePort } from './http-load.ts';

/** How long the run that is killed has before. */
const LIFE_MS = 3_000;

export const startUp = defineBenchmark({
  name: 'start-up',
  question: 'How long is it from the command to a pipeline that takes records?',
  axes: { start: ['fresh', 'http', 'after-kill'] },
  smokeAxes: { start: ['fresh', 'http', 'after-kill'] },
  repetitions: 7,
  seconds: 0,
  metrics: {
    startMs: { unit: 'ms', digits: 0 },
    recoveredBlocks: { unit: 'blocks recovered', digits: 0 },
  },
  async measure({ start }, { directory, isSmoke }) {
    switch (start) {
      case 'fresh':
        return { startMs: await startedMs('filter-count.pipeline.ts', directory) };
      case 'http':
        return { startMs: await acceptedMs(directory) };
      default:
        await liveAndDie(directory, isSmoke ? 500 : LIFE_MS);
        return recover(directory);
    }
  },
});

function startedMs(pipeline: string, directory: string): Promise<number> {
  return withEngine({ pipeline, flags: [], directory }, async (engine) => {
    const { time } = await engine.line('engine-started');
    return time - engine.startedMs;
  });
}

/** Until a connection is accepted, which is tried every millisecond. */
async function acceptedMs(directory: string): Promise<number> {
  const port = await freePort();
  const env = { MILLRACE_BENCH_PORT: String(port) };
  const options = { pipeline: 'http-lines.pipeline.ts', flags: [], directory, env };
  return withEngine(options, async (engine) => {
    while (!(await isLetIn(port))) {
      if (Date.now() - engine.startedMs > 30_000) throw new Error('nobody listens');
      await delay(1);
    }
    return Date.now() - engine.startedMs;
  });
}

function isLetIn(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function liveAndDie(directory: string, lifeMs: number): Promise<void> {
  const engine = new EngineProcess({ pipeline: 'filter-count.pipeline.ts', flags: [], directory });
  try {
    await engine.line('engine-started');
    await delay(lifeMs);
  } finally {
    await engine.kill();
  }
}

function recover(directory: string): Promise<{ startMs: number; recoveredBlocks: number }> {
  const options = { pipeline: 'filter-count.pipeline.ts', flags: [], directory };
  return withEngine(options, async (engine) => {
    const { time } = await engine.line('engine-started');
    const { blocks } = await engine.line('engine-recovered');
    await engine.line('batch-completed');
    return { startMs: time - engine.startedMs, recoveredBlocks: Number(blocks) };
  });
}
