import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { GraphNode } from '../dstream/graph.ts';
import { Receiver } from '../dstream/receiver.ts';
import { GeneratorReceiver } from './generator-receiver.ts';
import { HttpTextReceiver } from './http-text-receiver.ts';
import { createReceiver } from './receiver-factory.ts';
import { SocketTextReceiver } from './socket-text-receiver.ts';

class Silent extends Receiver<string> {
  onStart(): void {}
  onStop(): void {}
}

function input(node: Partial<GraphNode>): GraphNode {
  return {
    id: 'in-0',
    kind: 'receiverStream',
    parents: [],
    options: { source: 'custom' },
    ...node,
  };
}

const clock = new ManualClock();

describe('createReceiver', () => {
  it.each([
    [HttpTextReceiver, { source: 'http', host: 'x', ports: [0], path: '/', maxBodyBytes: 2 ** 30 }],
    [SocketTextReceiver, { source: 'socket', host: 'x', port: 1 }],
    [GeneratorReceiver, { source: 'generator', recordBytes: 2, seed: 1, total: 0 }],
  ])('makes a %s', async (type, options) => {
    const receiver = await createReceiver(input({ options: { receivers: 1, ...options } }), clock);
    expect(receiver).toBeInstanceOf(type);
  });

  it('calls the factory of the user, anew each time', async () => {
    const node = input({ fn: () => new Silent() });
    const first = await createReceiver(node, clock);
    expect(first).toBeInstanceOf(Silent);
    expect(await createReceiver(node, clock)).not.toBe(first);
  });

  it('says whose factory failed, and how', async () => {
    const throwing = input({
      fn: () => {
        throw new Error('no config');
      },
    });
    await expect(createReceiver(throwing, clock)).rejects.toMatchObject({
      code: 'RECEIVER_FAILED',
      message: 'in-0: the factory threw',
      cause: { message: 'no config' },
    });
    await expect(createReceiver(input({ fn: () => ({}) }), clock)).rejects.toMatchObject({
      code: 'PIPELINE_INVALID',
    });
  });

  it.each(['queue', 'text-files'])(
    'refuses the input %s, which has no receivers',
    async (source) => {
      await expect(createReceiver(input({ options: { source } }), clock)).rejects.toMatchObject({
        code: 'BROKEN_INVARIANT',
      });
    },
  );
});
