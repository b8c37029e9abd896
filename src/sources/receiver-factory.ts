/** From an input of the graph to its receiver. The only place that knows all receivers.
 *
 * A source is loaded when an input asks for it, so that a pipeline loads, and has to have
 * installed, only what it uses.
 * @module */
import type { Clock } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { GraphNode } from '../dstream/graph.ts';
import { inputOptions } from '../dstream/input-options.ts';
import { OWN_RECEIVER_GUARANTEE, Receiver } from '../dstream/receiver.ts';
import type { SourceGuarantee } from '../dstream/receiver.ts';

/** A new receiver, not yet started, for one life of one receiver of an input.
 * @throws {MillraceError} RECEIVER_FAILED when the user's factory throws, PIPELINE_INVALID when it
 *   makes something else, BROKEN_INVARIANT for an input that has no receivers. */
export async function createReceiver(node: GraphNode, clock: Clock): Promise<Receiver<unknown>> {
  const options = inputOptions(node);
  switch (options.source) {
    case 'custom':
      return customReceiver(node);
    case 'http': {
      const { HttpTextReceiver } = await import('./http-text-receiver.ts');
      return new HttpTextReceiver({ ...options, clock });
    }
    case 'socket': {
      const { SocketTextReceiver } = await import('./socket-text-receiver.ts');
      return new SocketTextReceiver({ ...options, clock });
    }
    case 'generator': {
      const { GeneratorReceiver } = await import('./generator-receiver.ts');
      return new GeneratorReceiver({ ...options, clock });
    }
    case 'text-files':
    case 'queue':
      throw new MillraceError('BROKEN_INVARIANT', `${node.id} is read without receivers`);
    default:
      return options satisfies never;
  }
}

/** Of a queueStream, which has no file of its own here: its records are in the graph. */
const QUEUE_GUARANTEE: SourceGuarantee = {
  delivery: 'replayable',
  reason: 'its records are in the module, and it goes on after the last recorded batch',
};

/** What the source of an input promises, as the source itself says. Starts nothing. */
export async function sourceGuarantee(node: GraphNode): Promise<SourceGuarantee> {
  const { source } = inputOptions(node);
  switch (source) {
    case 'custom':
      return OWN_RECEIVER_GUARANTEE;
    case 'http':
      return (await import('./http-text-receiver.ts')).HttpTextReceiver.guarantee;
    case 'socket':
      return (await import('./socket-text-receiver.ts')).SocketTextReceiver.guarantee;
    case 'generator':
      return (await import('./generator-receiver.ts')).GeneratorReceiver.guarantee;
    case 'text-files':
      return (await import('./text-files.ts')).TEXT_FILES_GUARANTEE;
    case 'queue':
      return QUEUE_GUARANTEE;
    default:
      return source satisfies never;
  }
}

function customReceiver(node: GraphNode): Receiver<unknown> {
  let made: unknown;
  try {
    made = node.fn?.();
  } catch (error) {
    throw new MillraceError('RECEIVER_FAILED', `${node.id}: the factory threw`, {
      cause: toError(error),
    });
  }
  if (made instanceof Receiver) return made;
  throw new MillraceError(
    'PIPELINE_INVALID',
    `${node.id}: the factory has to return an object of a class that extends Receiver ` +
      'of this very millrace package; look for a second copy of it in node_modules',
  );
}
