/** Tests for which peers take part: the others are skipped by name, never silently. @module */
import { describe, expect, it } from 'vitest';
import { LOG_PEERS } from './log-peers.ts';
import type { ToolName } from './peer.ts';
import { selectPeers } from './selection.ts';
import { STREAM_PEERS } from './stream-peers.ts';
import { TOOLS } from './tools.ts';

const PEERS = [...LOG_PEERS, ...STREAM_PEERS];
const everything = { workloads: ['records', 'word-count'], only: [] } as const;

function machine(absent: readonly ToolName[], { isBuiltOnly = false, isBuilt = true } = {}) {
  return {
    missing: (tool: ToolName) => (absent.includes(tool) ? `needs ${tool}` : undefined),
    isBuilt: () => isBuilt,
    isBuiltOnly,
  };
}

describe('selectPeers', () => {
  it('takes all peers of the wanted workloads where every tool is', () => {
    expect(selectPeers(PEERS, everything, machine([]))).toEqual({ peers: PEERS, skipped: [] });
    const logs = selectPeers(PEERS, { workloads: ['blocks'], only: [] }, machine([]));
    expect(logs.peers).toEqual(LOG_PEERS);
  });

  it('skips by name, with the reason, what needs a tool that is not here', () => {
    const { peers, skipped } = selectPeers(PEERS, everything, machine(['go', 'maven']));
    expect(peers.map(({ name }) => name)).toEqual(['SQLite WAL, FULL']);
    expect(skipped).toHaveLength(PEERS.length - 1);
    expect(skipped).toContainEqual({ name: 'tidwall/wal 1.2.1', reason: 'needs go' });
    expect(skipped).toContainEqual({ name: 'Spark 3.5.7, receiver log', reason: 'needs maven' });
  });

  it('where nothing may be built, takes only what needs no building', () => {
    const bare = machine([], { isBuiltOnly: true, isBuilt: false });
    const { peers, skipped } = selectPeers(PEERS, everything, bare);
    expect(peers.map(({ name }) => name)).toEqual(['SQLite WAL, FULL']);
    expect(skipped[0]?.reason).toBe('is not built yet: npm run bench:peers -- --build');
  });

  it('takes only those that are named, and knows no others', () => {
    const { peers } = selectPeers(PEERS, { ...everything, only: ['flink'] }, machine([]));
    expect(peers.map(({ name }) => name.slice(0, 5))).toEqual(['Flink', 'Flink']);
    const wishes = { ...everything, only: ['kafka'] };
    expect(() => selectPeers(PEERS, wishes, machine([]))).toThrow('there is no peer kafka');
  });
});

describe('tools', () => {
  it.each([
    ['go', 'go version go1.26.8 linux/amd64', 'go version go1.25.4 linux/amd64'],
    ['java', 'javac 17.0.15', 'javac 21.0.2'],
    ['maven', 'Apache Maven 3.8.7', 'Apache Maven 2.2.1'],
    ['python3', 'SQLite 3.40.1', ''],
  ] as const)('%s: the version that will do', (name, good, bad) => {
    expect(TOOLS[name].version.test(good)).toBe(true);
    expect(TOOLS[name].version.test(bad)).toBe(false);
  });
});
