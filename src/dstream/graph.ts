/** The graph of a pipeline: which operators there are and what each one reads. Immutable.
 *
 * Every thread builds it from the same module, so that only operator ids cross threads. A node's
 * `options` are plain data; they enter the description that is hashed, compared between threads and
 * kept in checkpoints. Its function and queued records never leave the thread.
 * Nodes stand in order of creation, so parents always come before their children.
 * @module */
import { createHash } from 'node:crypto';
import { present } from '../core/assert.ts';
import type { Sink } from './sink.ts';

/** What an operator does to the plan of a batch: inputs are read, narrow operators are fused into
 * the task that reads, unions concatenate partitions, windows those of earlier batches, shuffles
 * start a stage, stateful operators start one and keep what they made for the next batch, views
 * read that, outputs make a job. */
export type OperatorRole =
  | 'input'
  | 'narrow'
  | 'union'
  | 'window'
  | 'shuffle'
  | 'state'
  | 'view'
  | 'output';

/** Every operator. Its name is the prefix of its ids, so it is part of checkpoints. */
const OPERATOR_ROLES = {
  receiverStream: 'input',
  httpTextStream: 'input',
  socketTextStream: 'input',
  textFileStream: 'input',
  queueStream: 'input',
  generatorStream: 'input',
  map: 'narrow',
  flatMap: 'narrow',
  filter: 'narrow',
  mapPartitions: 'narrow',
  glom: 'narrow',
  mapToPair: 'narrow',
  keyBy: 'narrow',
  mapValues: 'narrow',
  flatMapValues: 'narrow',
  union: 'union',
  window: 'window',
  count: 'shuffle',
  countByValue: 'shuffle',
  reduce: 'shuffle',
  repartition: 'shuffle',
  persist: 'shuffle',
  reduceByKey: 'shuffle',
  combineByKey: 'shuffle',
  aggregateByKey: 'shuffle',
  groupByKey: 'shuffle',
  cogroup: 'shuffle',
  join: 'shuffle',
  leftOuterJoin: 'shuffle',
  rightOuterJoin: 'shuffle',
  fullOuterJoin: 'shuffle',
  updateStateByKey: 'state',
  mapWithState: 'state',
  dedupeBy: 'state',
  reduceByKeyAndWindow: 'state',
  stateSnapshots: 'view',
  print: 'output',
  foreachBatch: 'output',
  foreachPartition: 'output',
  saveAsTextFiles: 'output',
  saveAsJsonFiles: 'output',
  to: 'output',
} as const;

export type OperatorKind = keyof typeof OPERATOR_ROLES;

/** The role of a kind. */
export function roleOf(kind: OperatorKind): OperatorRole {
  return OPERATOR_ROLES[kind];
}

/** True for operators whose records come through a shuffle. */
export function readsShuffle(kind: OperatorKind): kind is KindOf<'shuffle' | 'state'> {
  return roleOf(kind) === 'shuffle' || roleOf(kind) === 'state';
}

/** True for stateful operators whose stream is what they put out in each batch; that of the others
 * is their whole state. */
export function hasOutput(kind: OperatorKind): boolean {
  return kind === 'mapWithState' || kind === 'dedupeBy';
}

/** True for stateful operators that move a window over their stream: they take away from the
 * state what leaves it and add what comes in. Their shuffle is one of each batch, not of the last
 * only. */
export function isSliding(kind: OperatorKind): boolean {
  return kind === 'reduceByKeyAndWindow';
}

/** True for outputs that write through a sink. */
export function writesToSink(kind: OperatorKind): boolean {
  return kind === 'to' || kind === 'saveAsTextFiles' || kind === 'saveAsJsonFiles';
}

/** The kinds with one role: the key of a table that must not forget an operator. */
export type KindOf<R extends OperatorRole> = {
  [K in OperatorKind]: (typeof OPERATOR_ROLES)[K] extends R ? K : never;
}[OperatorKind];

/** Plain data: what JSON can hold. */
export type OptionValue =
  | string
  | number
  | boolean
  | null
  | readonly OptionValue[]
  | { readonly [key: string]: OptionValue };

export type NodeOptions = Readonly<Record<string, OptionValue>>;

/** Any function of a user; who calls it knows its shape from the node's kind. */
export type UserFunction = (...args: never[]) => unknown;

/** What the threads compare, and what a checkpoint keeps, of one operator. */
export interface NodeDescription {
  /** `<kind>-<n>`, or the user's own. Has no `:` and no `/`. */
  readonly id: string;
  readonly kind: OperatorKind;
  /** Ids of the streams that it reads, in order. */
  readonly parents: readonly string[];
  readonly options: NodeOptions;
}

export interface GraphNode extends NodeDescription {
  /** The user's function, where the operator has one. */
  readonly fn?: UserFunction;
  /** The user's functions by their names, of an operator with several. */
  readonly fns?: Readonly<Record<string, UserFunction>>;
  /** The records of a queueStream, one array per batch. */
  readonly batches?: readonly (readonly unknown[])[];
  /** Where an output writes that was given a sink. */
  readonly sink?: Sink<unknown>;
  /** The pairs that a stateful operator begins with. */
  readonly initialState?: readonly (readonly [unknown, unknown])[];
  /** The id comes from the operator's place among those of its kind, and is not the user's own. */
  readonly isPlaced?: true;
}

export class Graph {
  /** In order of creation. */
  readonly nodes: readonly GraphNode[];
  readonly #byId: ReadonlyMap<string, GraphNode>;
  readonly inputs: readonly GraphNode[];
  /** Output operations in declaration order, which is the order of jobs. */
  readonly outputs: readonly GraphNode[];
  /** Operators that keep state, in order of creation. */
  readonly stateful: readonly GraphNode[];

  /** @param nodes with unique ids, parents before children; kept, so leave them alone. */
  constructor(nodes: readonly GraphNode[]) {
    this.nodes = nodes;
    this.#byId = new Map(nodes.map((node) => [node.id, node]));
    const withRole = (role: OperatorRole): readonly GraphNode[] =>
      nodes.filter((node) => roleOf(node.kind) === role);
    this.inputs = withRole('input');
    this.outputs = withRole('output');
    this.stateful = withRole('state');
  }

  /** @throws {MillraceError} BROKEN_INVARIANT when there is no such operator. */
  node(id: string): GraphNode {
    return present(this.#byId.get(id), `operator ${id} of the graph`);
  }
}

/** The graph as structured-cloneable data, without functions. */
export function describeGraph({ nodes }: Pick<Graph, 'nodes'>): readonly NodeDescription[] {
  return nodes.map(({ id, kind, parents, options }) => ({ id, kind, parents, options }));
}

/** SHA-256 in hex. Equal for equal descriptions, whatever the order of option keys. */
export function graphHash(description: readonly NodeDescription[]): string {
  return createHash('sha256').update(canonicalJson(description)).digest('hex');
}

/** Where two descriptions part, as a sentence that names the operator; `undefined` when they are
 * equal. @param names how the sentence calls `a` and `b`. */
export function firstDifference(
  a: readonly NodeDescription[],
  b: readonly NodeDescription[],
  names: readonly [string, string] = ['the first', 'the second'],
): string | undefined {
  const [nameA, nameB] = names;
  const inB = new Map(b.map((node) => [node.id, node]));
  for (const node of a) {
    const other = inB.get(node.id);
    if (other === undefined) return `operator ${node.id} is in ${nameA} but not in ${nameB}`;
    const difference = nodeDifference(node, other, names);
    if (difference !== undefined) return difference;
  }
  const inA = new Set(a.map((node) => node.id));
  const added = b.find((node) => !inA.has(node.id));
  if (added !== undefined) return `operator ${added.id} is in ${nameB} but not in ${nameA}`;
  const moved = a.findIndex((node, index) => b[index]?.id !== node.id);
  if (moved === -1) return undefined;
  return `operator ${a[moved]?.id} is number ${moved + 1} in ${nameA} and not in ${nameB}`;
}

function nodeDifference(
  a: NodeDescription,
  b: NodeDescription,
  [nameA, nameB]: readonly [string, string],
): string | undefined {
  const keys = new Set([...Object.keys(a.options), ...Object.keys(b.options)]);
  const compared: (readonly [string, unknown, unknown])[] = [
    ['kind', a.kind, b.kind],
    ['parents', a.parents, b.parents],
    ...[...keys]
      .toSorted()
      .map((key) => [`option ${key}`, a.options[key], b.options[key]] as const),
  ];
  for (const [what, left, right] of compared) {
    const [textA, textB] = [canonicalJson(left), canonicalJson(right)];
    if (textA !== textB) {
      return `operator ${a.id}: ${what} is ${textA} in ${nameA} and ${textB} in ${nameB}`;
    }
  }
  return undefined;
}

/** JSON with sorted keys; `absent` for undefined. */
export function canonicalJson(value: unknown): string {
  if (value === undefined) return 'absent';
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).toSorted(([x], [y]) => (x < y ? -1 : 1)));
  });
}
