/** Brings the states of an operator from an earlier version to the operator's own, as a snapshot is
 * read back: before anything of the start is written.
 *
 * So nothing has changed when `migrate` throws, or the process dies: the snapshot stays what it is
 * until a later one, of the new version, is durable and a checkpoint points to it. Until then each
 * start migrates again, from the same states. Keys, partitions and times of the last touch stay.
 * @module */
import { inspect } from 'node:util';
import { present } from '../core/assert.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { GraphNode } from '../dstream/graph.ts';
import type { Codec } from '../serde/codec.ts';
import { rewriteEntries } from '../state/entry-rewrite.ts';

interface MigrationFacts {
  readonly codec: Codec;
  /** Of the states in the snapshot. */
  readonly version: number;
  /** After which they were so. */
  readonly batchTimeMs: number;
}

const KEY_CHARS_MAX = 80;

export class StateMigration {
  readonly #operatorId: string;
  readonly #facts: MigrationFacts;
  readonly #migrate: (old: unknown, fromVersion: number) => unknown;

  constructor(node: GraphNode, facts: MigrationFacts) {
    this.#operatorId = node.id;
    this.#facts = facts;
    // Whether there is one was asked before (state-upgrade.ts).
    this.#migrate = present(node.fns?.['migrate'], `migrate of ${node.id}`) as (
      old: unknown,
      fromVersion: number,
    ) => unknown;
  }

  /** @returns the entries with their new states, those that are dropped left out.
   * @throws {MillraceError} MIGRATION_FAILED naming operator, key and batch. */
  apply(entries: Uint8Array): Uint8Array {
    const { codec, version } = this.#facts;
    return rewriteEntries(entries, (key, value) => {
      try {
        const state: unknown = this.#migrate(codec.unpack(value), version);
        if (state === undefined) return undefined;
        refusePromise(state);
        return codec.pack(state);
      } catch (error) {
        throw this.#failure(codec.unpack(key), toError(error));
      }
    });
  }

  #failure(key: unknown, cause: Error): MillraceError {
    const { version, batchTimeMs } = this.#facts;
    const operatorId = this.#operatorId;
    const text = inspect(key, { depth: 1, breakLength: Infinity }).slice(0, KEY_CHARS_MAX);
    return new MillraceError(
      'MIGRATION_FAILED',
      `migrate of operator ${operatorId} failed for the key ${text}, whose state of batch ` +
        `${batchTimeMs} is of version ${version}; nothing was changed: ${cause.message}`,
      { cause, details: { operatorId, key: text, batchTimeMs, version } },
    );
  }
}

function refusePromise(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (!('then' in value) || typeof value.then !== 'function') return;
  // Its own failure has no other owner; that it exists at all is what is reported.
  (value as PromiseLike<unknown>).then(undefined, () => undefined);
  throw new TypeError('it returned a promise; only foreachBatch and foreachPartition may await');
}
