/** Tests for one workload from end to end, with peers that are this Node: neither Go nor Java has
 * to be here for the harness to stay whole. All but the peers' own programs is the real thing.
 * @module */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LINE_COUNT } from '../../src/sources/generator-lines.ts';
import type { Contestant } from './pairs.ts';
import type { Peer, PeerTask } from './peer.ts';
import { peersText } from './report.ts';
import { measureWorkload } from './session.ts';

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-peers-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const LENGTH = { warmUpMs: 1, measureMs: 1 };
const ANSWER = { records: 500, seconds: 0.5, appended: 600, found: 600 };
const SAY_ANSWER = `console.log('some words\\n' + ${JSON.stringify(JSON.stringify(ANSWER))})`;

/** A peer that runs `script`. */
function nodePeer(script: string, tasks: PeerTask[] = []): Peer {
  return {
    name: 'a peer',
    workloads: ['records'],
    tools: [],
    guarantee: { survives: 'a kill', how: 'by doing nothing' },
    beside: 'sync',
    command(_folder, task) {
      tasks.push(task);
      return [process.execPath, '-e', script];
    },
  };
}

function ours(recordsPerSecond: number): Contestant {
  const guarantee = { survives: 'a power cut', how: 'by the test' } as const;
  return { name: 'ours', guarantee, measure: () => Promise.resolve({ recordsPerSecond }) };
}

function measure(peer: Peer) {
  return measureWorkload([peer], {
    workload: 'records',
    repetitions: 2,
    isSmoke: true,
    scratch,
    ...LENGTH,
    folderOf: () => '',
    ours: () => ours(3_000),
    onSample: () => {},
  });
}

describe('a workload', () => {
  it('gives each sample an empty folder and the lines, and compares', async () => {
    const tasks: PeerTask[] = [];
    const litter = "require('node:fs').writeFileSync('left-behind', '');";
    const empty = "if (require('node:fs').readdirSync('.').length > 0) process.exit(7);";
    const result = await measure(nodePeer(empty + litter + SAY_ANSWER, tasks));
    expect(tasks).toHaveLength(2);
    const lines = readFileSync(tasks[0]?.lines ?? '', 'utf8')
      .trim()
      .split('\n');
    expect(lines).toHaveLength(LINE_COUNT);
    expect(readdirSync(tasks[0]?.directory ?? '')).toEqual([]);
    expect(result.pairs[0]?.peer.samples).toMatchObject([
      { recordsPerSecond: 1_000 },
      { recordsPerSecond: 1_000 },
    ]);
    expect(result.pairs[0]?.ratio).toEqual({ min: 3, median: 3, max: 3 });
    expect(result.disk).toHaveLength(2);
  });

  it('is told in one table that says what each figure is worth', async () => {
    const result = await measure(nodePeer(SAY_ANSWER));
    const skipped = [{ name: 'another peer', reason: 'needs Go 1.26 or newer' }];
    const text = peersText([result], skipped, { isSmoke: false });
    expect(text).toMatch(/^records +a peer .*3\.00 \[3\.00 … 3\.00\] × +a kill +a power cut$/m);
    expect(text).toContain('skipped: another peer needs Go 1.26 or newer\n');
    expect(text).toContain('a peer: by doing nothing\n');
    expect(peersText([result], skipped, { isSmoke: true })).toBe(
      'records: ours and a peer work, counts are right\n' +
        'skipped: another peer needs Go 1.26 or newer',
    );
  });

  it.each([
    ['fails', "console.error('no room'); process.exit(3)", /ended with 3:\nno room/],
    ['says nothing', '', /printed no records and seconds/],
    ['says no number', 'console.log(\'{"records":"many","seconds":1}\')', /printed no records/],
    ['counts wrong', SAY_ANSWER.replace('600', '599'), /599 records acknowledged/],
  ])('ends when a peer %s', async (_, script, cause) => {
    await expect(measure(nodePeer(script))).rejects.toMatchObject({
      message: 'a peer failed',
      cause: { message: expect.stringMatching(cause) as string },
    });
    expect(existsSync(scratch)).toBe(true); // its owner removes it
  });
});
