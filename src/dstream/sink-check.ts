/** Checks the sink that an output is given, and makes of it what the graph keeps.
 * @module */
import type { NodeOptions } from './graph.ts';
import { OptionCheck } from './option-check.ts';
import type { Sink, SinkGuarantee } from './sink.ts';

const GUARANTEES: readonly SinkGuarantee[] = ['exactly-once', 'at-least-once'];

/** @throws {MillraceError} OPTIONS_INVALID with all that is missing. */
export function checkSink<T>(sink: Sink<T>): {
  readonly options: NodeOptions;
  readonly sink: Sink<unknown>;
} {
  const check = new OptionCheck('to');
  const given = Object(sink) as Readonly<Record<string, unknown>>;
  const target = check.text('target of the sink', given['target']);
  const guarantee = check.oneOf('guarantee of the sink', given['guarantee'], GUARANTEES);
  for (const step of ['prepare', 'openPartition', 'commit']) {
    check.function(`${step} of the sink`, given[step]);
  }
  if (given['open'] !== undefined) check.function('open of the sink', given['open']);
  check.finish();
  // The engine hands it what its stream has, which is T.
  return { options: { target, guarantee }, sink: sink as Sink<unknown> };
}
