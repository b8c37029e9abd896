/** `dedupeBy`, as the nodes of the graph that it is made of: the pairs of keys and records, and the
 * stateful operator that lets the first of each key pass. That one has the id that the author sees;
 * the pairs have it with `.pairs` behind. What runs is workers/state-dedupe.ts.
 * @module */
import type { Duration } from '../core/duration.ts';
import type { GraphBuilder } from './graph-builder.ts';
import type { NodeOptions, UserFunction } from './graph.ts';
import { OptionCheck } from './option-check.ts';
import { PARTITIONS_MAX } from './operator-options.ts';
import type { ShuffleOptions } from './operator-options.ts';
import { checkTimeout } from './state-spec.ts';

export interface DedupeOptions extends ShuffleOptions {
  /** How long a key is remembered, from the batch on whose record of it has passed: repeats in
   * batches up to so much later are dropped. Longer than a source may take to send again. */
  readonly within: Duration;
}

/** @returns the id of the stream without repeats. @throws {MillraceError} OPTIONS_INVALID. */
export function addDedupe(
  builder: GraphBuilder,
  parent: string,
  { key, options }: { readonly key: UserFunction; readonly options: DedupeOptions },
): string {
  const kind = 'dedupeBy';
  const checked = checkDedupe(kind, key, options);
  const id = builder.reserveId(kind, checked.id);
  const pairs = builder.add({
    kind: 'keyBy',
    parents: [parent],
    id: undefined,
    reservedId: `${id}.pairs`,
    fn: key,
  });
  return builder.add({
    kind,
    parents: [pairs],
    id: undefined,
    reservedId: id,
    options: checked.options,
  });
}

function checkDedupe(
  kind: string,
  key: unknown,
  given: DedupeOptions,
): { readonly id: string | undefined; readonly options: NodeOptions } {
  const check = new OptionCheck(kind);
  const { id, within, partitions } = check.object(given, ['within', 'id', 'partitions']);
  check.syncFunction('the key function', key);
  const timeoutMs = checkTimeout(check, 'within', within);
  const spread =
    partitions === undefined
      ? {}
      : { partitions: check.integer('partitions', partitions, { min: 1, max: PARTITIONS_MAX }) };
  check.finish();
  return { id: id as string | undefined, options: { timeoutMs, ...spread } };
}
