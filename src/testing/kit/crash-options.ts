/** The options of `crashTest`, checked against the pipeline: all that is wrong in one error.
 * @module */
import { MillraceError } from '../../core/errors.ts';
import type { Graph, GraphNode } from '../../dstream/graph.ts';
import { inputOptions } from '../../dstream/input-options.ts';
import { OptionCheck } from '../../dstream/option-check.ts';
import type { BatchRecords } from './inline-inputs.ts';
import { checkCalled, checkInputs } from './pipeline-module.ts';
import { firstSeed } from './seed-variable.ts';

/** What may happen to a simulated process and its machine.
 *
 * - `kill`: the process dies between any two events, or at a step of a protocol, also while it
 *   recovers. What it has written stays.
 * - `power-cut`: so does the machine. Of what was not synced, any part is lost or torn.
 * - `executor-death`: a thread dies, of receivers or in the middle of a task.
 * - `disk-error`: a call to the disk fails, such as a write, a sync or a rename.
 * - `disk-full`: for a while the disk has no more room.
 * - `redelivery`: an acknowledgement is lost, and the source sends the records again. */
export type CrashFault =
  | 'kill'
  | 'power-cut'
  | 'executor-death'
  | 'disk-error'
  | 'disk-full'
  | 'redelivery';

export const CRASH_FAULTS: readonly CrashFault[] = [
  'kill',
  'power-cut',
  'executor-death',
  'disk-error',
  'disk-full',
  'redelivery',
];

export interface CrashTestOptions {
  /** Records by the id of the input, one array for each batch: whatever happens, batch i gets those
   * with the index i. A `queueStream` that is not here has its own; any other input must be. */
  readonly input?: Readonly<Record<string, readonly (readonly unknown[])[]>>;
  /** What happens. @defaultValue all of them, which a pipeline has to survive */
  readonly faults?: readonly CrashFault[];
  /** How many histories, 1 … 100,000, beginning with the seed in MILLRACE_SEED, else 1; or the
   * seeds themselves, safe integers. @defaultValue 50 */
  readonly seeds?: number | readonly number[];
  /** How many batches to run; those for which there are no records are empty.
   * @defaultValue as many as the longest input has */
  readonly batches?: number;
  /** Task threads, 1 … 8, of which each life has one of these numbers; the undisturbed run has the
   * first. @defaultValue 2, in every life */
  readonly executors?: number | readonly number[];
  /** Ids of `foreachBatch` and `foreachPartition` outputs whose functions are to be called, and of
   * `to` outputs whose sinks are to be written, besides that their records are captured.
   * @defaultValue none is called */
  readonly call?: readonly string[];
  /** Brings what they write to its beginning, before each run. */
  readonly reset?: () => void | Promise<void>;
  /** What they have written, after each run: it must be what the undisturbed run leaves, as for
   * `deepStrictEqual`. Needs `reset`. @defaultValue nothing */
  readonly observe?: () => unknown;
  /** What of a record is compared, when it is not all: a sum of fractions, rounded.
   * @defaultValue the record */
  readonly compareBy?: (record: unknown, outputId: string) => unknown;
}

/** What was survived. */
export interface CrashReport {
  readonly seeds: readonly number[];
  /** Processes that were started, in all histories. */
  readonly lives: number;
  /** How often what happened. */
  readonly faults: Readonly<Partial<Record<CrashFault, number>>>;
  /** How often an at-least-once output got a batch again. */
  readonly repeatedBatches: number;
}

/** All options, each with a value. */
export interface CheckedCrashOptions {
  readonly records: ReadonlyMap<string, BatchRecords>;
  readonly batchCount: number;
  readonly faults: ReadonlySet<CrashFault>;
  readonly seeds: readonly number[];
  readonly executors: readonly number[];
  readonly called: ReadonlySet<string>;
  readonly reset: () => void | Promise<void>;
  readonly observe: (() => unknown) | undefined;
  readonly compareBy: (record: unknown, outputId: string) => unknown;
}

export const CRASH_TEST = 'crashTest';

const KEYS = [
  'input',
  'faults',
  'seeds',
  'batches',
  'executors',
  'call',
  'reset',
  'observe',
  'compareBy',
] as const;
const SEEDS_DEFAULT = 50;
const SEEDS_MAX = 100_000;
const BATCHES_MAX = 10_000;
const EXECUTORS_MAX = 8;

/** @throws {MillraceError} OPTIONS_INVALID with all problems. */
export function checkCrashOptions(graph: Graph, options: unknown): CheckedCrashOptions {
  const check = new OptionCheck(CRASH_TEST);
  const given = check.object(options, KEYS);
  const records = checkInputs(check, graph, { option: 'input', given: given['input'] });
  for (const node of graph.inputs) requireRecords(check, node, records);
  const queues = graph.inputs.filter(({ id }) => !records.has(id)).map(({ batches }) => batches);
  const lengths = [...records.values(), ...queues].map((batches) => batches?.length ?? 0);
  const { batches = Math.max(0, ...lengths), compareBy = (record: unknown) => record } = given;
  const { reset, observe } = given;
  if (reset !== undefined) check.function('reset', reset);
  if (observe !== undefined) check.function('observe', observe);
  check.function('compareBy', compareBy);
  check.require(
    observe === undefined || reset !== undefined,
    'observe needs reset: what one run has written must not be there in the next',
  );
  const checked = {
    records,
    batchCount: check.integer('batches', batches, { min: 1, max: BATCHES_MAX }),
    faults: checkFaults(check, given['faults']),
    seeds: checkSeeds(check, given['seeds']),
    executors: checkExecutors(check, given['executors']),
    called: checkCalled(check, graph, given['call']),
    reset: (reset ?? (() => undefined)) as CheckedCrashOptions['reset'],
    observe: observe as CheckedCrashOptions['observe'],
    compareBy: compareBy as CheckedCrashOptions['compareBy'],
  };
  for (const id of checked.called) refuseDatabase(check, graph.node(id));
  check.finish();
  return checked;
}

function requireRecords(
  check: OptionCheck,
  node: GraphNode,
  records: ReadonlyMap<string, BatchRecords>,
): void {
  if (records.has(node.id) || inputOptions(node).source === 'queue') return;
  check.require(
    false,
    `the input ${node.id} (${node.kind}) has no records: a simulated machine has no sockets, ` +
      `files and receivers of its own; give its records as input: { '${node.id}': [[…], …] }`,
  );
}

/** Its transactions are those of a real one, which no simulated process can leave half done. */
function refuseDatabase(check: OptionCheck, { id, sink }: GraphNode): void {
  check.require(
    !/^(SQLite|Postgres) /.test(sink?.target ?? ''),
    `call names ${id}, whose sink writes to a real database (${sink?.target}): leave it out, and ` +
      'its records are captured as those of a transaction',
  );
}

function checkFaults(check: OptionCheck, given: unknown = CRASH_FAULTS): ReadonlySet<CrashFault> {
  const faults: readonly unknown[] = Array.isArray(given) ? given : [given];
  check.require(faults.length > 0, `faults must name some of ${CRASH_FAULTS.join(', ')}`);
  return new Set(faults.map((fault) => check.oneOf('each of faults', fault, CRASH_FAULTS)));
}

function checkSeeds(check: OptionCheck, given: unknown = SEEDS_DEFAULT): readonly number[] {
  if (Array.isArray(given)) {
    const { MIN_SAFE_INTEGER: min, MAX_SAFE_INTEGER: max } = Number;
    check.require(given.length > 0 && given.length <= SEEDS_MAX, 'seeds must list 1 to 100,000');
    return given.map((seed: unknown) => check.integer('each of seeds', seed, { min, max }));
  }
  const count = check.integer('seeds', given, { min: 1, max: SEEDS_MAX });
  const first = firstSeed();
  check.require(Number.isSafeInteger(first), 'MILLRACE_SEED must be a whole number');
  return Array.from({ length: count > 0 && count <= SEEDS_MAX ? count : 0 }, (_, n) => first + n);
}

function checkExecutors(check: OptionCheck, given: unknown = 2): readonly number[] {
  const counts: readonly unknown[] = Array.isArray(given) ? given : [given];
  check.require(counts.length > 0, 'executors must name at least one number');
  const bounds = { min: 1, max: EXECUTORS_MAX };
  return counts.map((count) => check.integer('executors', count, bounds));
}

/** An error of the kit's own, as the checks make it. */
export function crashTestRefusal(problem: string, cause?: unknown): MillraceError {
  const options = cause === undefined ? {} : { cause };
  return new MillraceError('OPTIONS_INVALID', `${CRASH_TEST}: ${problem}`, options);
}
