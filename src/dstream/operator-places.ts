/** Which operator of a changed graph is the one that an id from a place meant before.
 *
 * An operator without an id of its own has one from its place: the number of operators of its kind
 * that stand before it. When others come or go in front of it, the id means another operator, and
 * what was kept under it (state, positions of a source, which outputs a batch has finished) must
 * not be attached to that one. Two things tell operators apart: what each reads (kinds, options,
 * own ids up to the inputs) and what it does (its functions, as text, and options). One of both may
 * change. An operator that another one is as much like is nobody's: who has the id has to be said.
 * Another one is also one that has an id of its own now and had none: it may be the one that left
 * its place. Ids that only look as if a place had given them are kept account of like those, since
 * the next version may leave them to the places.
 * Compares descriptions; what follows from it is driver/upgrade-plan.ts. @module */
import { createHash } from 'node:crypto';
import { canonicalJson, roleOf } from './graph.ts';
import type { GraphNode, NodeDescription, OperatorKind } from './graph.ts';

/** Of an operator: what it does, and what it and everything that it reads from do. Hashes. */
export type OperatorCode = readonly [id: string, does: string, whole: string];

/** How an earlier run had it. */
export interface FormerGraph {
  readonly nodes: readonly NodeDescription[];
  /** Absent in checkpoints that did not have it. */
  readonly codes: readonly OperatorCode[] | undefined;
}

interface Identity {
  readonly id: string;
  readonly kind: OperatorKind;
  readonly reads: string;
  /** Undefined: not known. */
  readonly does: string | undefined;
  readonly whole: string | undefined;
}

interface Pair {
  readonly now: Identity;
  readonly before: Identity;
}

const HASH_DIGITS = 16;
/** Of equal functions and inputs, up to the last character. */
const SURE = 3;

/** For a checkpoint: of every operator under whose id something is kept, and whose id is one that a
 * place may give, now or in a later version. */
export function operatorCodes(nodes: readonly GraphNode[]): readonly OperatorCode[] {
  const wholes = wholesOf(nodes);
  return nodes.flatMap((node): OperatorCode[] =>
    looksPlaced(node) && isKeeper(node.kind)
      ? [[node.id, doesOf(node), wholes.get(node.id) ?? '']]
      : [],
  );
}

/** Compares an earlier graph with that of this start. */
export class OperatorPlaces {
  readonly #before: readonly Identity[];
  /** Those with an id from their place, and those with one of their own that nobody had before. */
  readonly #now: readonly Identity[];

  constructor({ nodes: before, codes }: FormerGraph, now: readonly GraphNode[]) {
    const former = new Map(codes?.map(([id, does, whole]) => [id, { does, whole }]));
    const formerReads = readsOf(before);
    this.#before = before.filter(looksPlaced).map(({ id, kind }) => {
      const { does, whole } = former.get(id) ?? { does: undefined, whole: undefined };
      return { id, kind, reads: formerReads.get(id) ?? '', does, whole };
    });
    const wholes = wholesOf(now);
    const reads = readsOf(now);
    const knownIds = new Set(before.map(({ id }) => id));
    this.#now = now
      .filter(({ id, isPlaced }) => isPlaced === true || !knownIds.has(id))
      .map((node) => ({
        id: node.id,
        kind: node.kind,
        reads: reads.get(node.id) ?? '',
        does: doesOf(node),
        whole: wholes.get(node.id),
      }));
  }

  /** Whether the operator with this id is, beyond doubt, the one that had it. True for one whose id
   * is the user's own: that says so. */
  isSame(id: string): boolean {
    const pair = this.#pairOf(id);
    if (pair === undefined) return true;
    const likeness = likenessOf(pair.now, pair.before);
    return likeness === SURE || (likeness > 0 && this.#bestOther(id, pair) < likeness);
  }

  /** Whether the operator with this id is rather another one than the one that had it. */
  hasMoved(id: string): boolean {
    const pair = this.#pairOf(id);
    return pair !== undefined && this.#bestOther(id, pair) > likenessOf(pair.now, pair.before);
  }

  /** Operators of this start that may be the one that had it. */
  likeliest(id: string): readonly string[] {
    const before = this.#before.find((each) => each.id === id);
    if (before === undefined) return [];
    const rated = this.#now
      .filter(({ id: other, kind }) => kind === before.kind && !this.#isSettled(other))
      .map((each) => ({ id: each.id, likeness: likenessOf(each, before) }));
    const best = Math.max(1, ...rated.map(({ likeness }) => likeness));
    return rated.filter(({ likeness }) => likeness === best).map((each) => each.id);
  }

  /** Of an id that a place gave then and now. */
  #pairOf(id: string): Pair | undefined {
    const now = this.#now.find((each) => each.id === id);
    const before = this.#before.find((each) => each.id === id);
    return now === undefined || before === undefined ? undefined : { now, before };
  }

  /** How much one of the two is like an operator that has another id. */
  #bestOther(id: string, { now, before }: Pair): number {
    const isOpen = (other: Identity): boolean => other.id !== id && !this.#isSettled(other.id);
    const formerly = this.#before.filter(isOpen).map((other) => likenessOf(now, other));
    const elsewhere = this.#now.filter(isOpen).map((other) => likenessOf(other, before));
    return Math.max(0, ...formerly, ...elsewhere);
  }

  /** One that is the same to the last character in its place can be no other. */
  #isSettled(id: string): boolean {
    const pair = this.#pairOf(id);
    return pair !== undefined && likenessOf(pair.now, pair.before) === SURE;
  }
}

/** 0: nothing in common. Of a checkpoint without codes, what reads the same is the same. */
function likenessOf(a: Identity, b: Identity): number {
  if (a.kind !== b.kind) return 0;
  const isKnown = a.whole !== undefined && b.whole !== undefined;
  if (isKnown ? a.whole === b.whole : a.reads === b.reads) return SURE;
  return Number(a.reads === b.reads) + Number(isKnown && a.does === b.does);
}

function isKeeper(kind: OperatorKind): boolean {
  const role = roleOf(kind);
  return role === 'input' || role === 'state' || role === 'output';
}

/** Whether an id is one that the graph builder gives. */
export function looksPlaced({ id }: NodeDescription): boolean {
  return /^[A-Za-z]+-\d+(\.(batch|pairs|window))?$/.test(id);
}

/** Options of an input say which source it is; those of others what they do. */
function doesOf({ kind, options, fn, fns = {} }: GraphNode): string {
  const texts = Object.entries(fns).map(([name, each]) => [name, String(each)]);
  return hash([kind, options, fn === undefined ? '' : String(fn), texts]);
}

function wholesOf(nodes: readonly GraphNode[]): ReadonlyMap<string, string> {
  const wholes = new Map<string, string>();
  for (const node of nodes) {
    const parents = node.parents.map((id) => wholes.get(id));
    wholes.set(node.id, hash([doesOf(node), nameOf(node), parents]));
  }
  return wholes;
}

/** What each operator reads, with its own kind: all but functions, and numbers of places. */
function readsOf(nodes: readonly NodeDescription[]): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  const reads = new Map<string, string>();
  for (const node of nodes) {
    const parents = node.parents.map((id) => own.get(id));
    own.set(node.id, hash([node.kind, node.options, nameOf(node), parents]));
    // An input reads what its options name.
    reads.set(node.id, hash([node.kind, roleOf(node.kind) === 'input' ? node.options : parents]));
  }
  return reads;
}

function nameOf(node: NodeDescription): string {
  return looksPlaced(node) ? '' : node.id;
}

function hash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, HASH_DIGITS);
}
