/** When each stream of a graph has a batch, and how far back its windows look.
 *
 * A stream's slide is the distance between its batches: of an input the batch interval, of `window`
 * what its author says, of all others their parents'. A stream with a slide has a batch at those
 * batch times that are multiples of it, counted like batch times from 1970 on, so that nothing has
 * to be remembered over a restart (docs/decisions/0011-slides-since-1970.md).
 *
 *      batch interval 1 s            10  11  12  13  14  15  16
 *      window(4 s, 2 s) has          10      12      14      16      batches
 *      and reads at 14                   11─────────14               ages 3, 2, 1, 0 s
 *
 * The batch interval is known only when a run's options are, so a graph is checked here and not
 * while it is built. Pure. Mirrors `slideDuration` and `parentRememberDuration` of Spark's DStream.
 * @module */
import { present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { isSliding, roleOf } from './graph.ts';
import type { NodeDescription } from './graph.ts';
import type { SlidingSpan } from './window-change.ts';

/** Bounds what the driver and its checkpoints hold of the past. */
export const WINDOW_BATCHES_MAX: number = 10_000;
/** Windows of windows multiply: bounds the partitions that one stage is planned with. */
const BRANCHES_MAX = 100_000;

/** What is known of one stream. */
interface Times {
  /** The nearest stateful operator that its records come from. */
  readonly statefulId?: string | undefined;
  readonly slideMs: number;
  /** How far before a batch of this stream the oldest batch lies that it is made from. */
  readonly reachMs: number;
  /** Batches of inputs and shuffles that a stage reads for one batch of it. */
  readonly branches: number;
}

export class StreamTimes {
  readonly batchIntervalMs: number;
  /** The longest reach of all streams: 0 without windows. */
  readonly reachMs: number;
  /** Slides that are longer than the batch interval, each once. */
  readonly longSlidesMs: readonly number[];
  readonly #times: ReadonlyMap<string, Times>;

  /** @param nodes parents before children.
   * @throws {MillraceError} PIPELINE_INVALID with every window that does not fit its parent, and
   *   every operator whose streams have different slides. */
  constructor(nodes: readonly NodeDescription[], batchIntervalMs: number) {
    const survey = new Survey(batchIntervalMs);
    for (const node of nodes) survey.add(node);
    if (survey.problems.length > 0) {
      throw new MillraceError('PIPELINE_INVALID', survey.problems.join('; '));
    }
    const all = [...survey.times.values()];
    this.batchIntervalMs = batchIntervalMs;
    this.reachMs = Math.max(0, ...all.map(({ reachMs }) => reachMs));
    const slides = new Set(all.map(({ slideMs }) => slideMs));
    this.longSlidesMs = [...slides].filter((slideMs) => slideMs > batchIntervalMs);
    this.#times = survey.times;
  }

  /** The distance between two batches of a stream, or of what an output operation does. */
  slideMs(id: string): number {
    return present(this.#times.get(id), `operator ${id} of the graph`).slideMs;
  }

  /** How far before a batch of a stream the oldest batch lies that it is made from, in ms. */
  reachOf(id: string): number {
    return present(this.#times.get(id), `operator ${id} of the graph`).reachMs;
  }

  /** The nearest stateful operator that the records of a stream come from. */
  statefulOf(id: string): string | undefined {
    return present(this.#times.get(id), `operator ${id} of the graph`).statefulId;
  }

  /** Whether a stream or an output operation has a batch at this batch time. */
  isDue(id: string, batchTimeMs: number): boolean {
    return batchTimeMs % this.slideMs(id) === 0;
  }

  /** How long before a window's own batch the batches lie that it reads, the oldest first. */
  agesMs({ parents, options }: NodeDescription): readonly number[] {
    const slideMs = this.slideMs(present(parents[0], 'the parent of a window'));
    const count = (options['windowMs'] as number) / slideMs;
    return Array.from({ length: count }, (_, index) => (count - 1 - index) * slideMs);
  }

  /** How the window of an operator moves that takes away again what leaves it. */
  spanOf({ id, parents, options }: NodeDescription): SlidingSpan {
    const batchMs = this.slideMs(present(parents[0], 'the parent of a window'));
    return { windowMs: options['windowMs'] as number, slideMs: this.slideMs(id), batchMs };
  }
}

/** How far the windows of a described graph look back, also when they do not fit the interval. */
export function reachMsOf(nodes: readonly NodeDescription[], batchIntervalMs: number): number {
  const survey = new Survey(batchIntervalMs);
  for (const node of nodes) survey.add(node);
  return Math.max(0, ...[...survey.times.values()].map(({ reachMs }) => reachMs));
}

/** Goes through the operators of a graph, parents first. */
class Survey {
  readonly times = new Map<string, Times>();
  readonly problems: string[] = [];
  readonly #batchIntervalMs: number;

  constructor(batchIntervalMs: number) {
    this.#batchIntervalMs = batchIntervalMs;
  }

  add(node: NodeDescription): void {
    const parents = node.parents.map((id) => present(this.times.get(id), `parent ${id}`));
    const [first] = parents;
    if (first === undefined) {
      const slideMs = this.#batchIntervalMs;
      this.times.set(node.id, { slideMs, reachMs: 0, branches: 1 });
    } else if (node.kind === 'window') {
      this.#requireStateless(node, first);
      this.times.set(node.id, this.#window(node, first));
    } else if (isSliding(node.kind)) {
      this.#requireStateless(node, first);
      const { slideMs, reachMs } = this.#window(node, first);
      // What leaves has left one slide before: the window before this one is looked at too.
      const ownReachMs = reachMs + slideMs;
      this.times.set(node.id, { slideMs, reachMs: ownReachMs, branches: 1, statefulId: node.id });
    } else {
      this.times.set(node.id, this.#joined(node, parents, first));
    }
    this.#checkCheckpoint(node);
  }

  #window(node: NodeDescription, parent: Times): Times {
    const windowMs = node.options['windowMs'] as number;
    const slideMs = (node.options['slideMs'] ?? parent.slideMs) as number;
    this.#requireMultiple(node, 'window', windowMs, parent.slideMs);
    this.#requireMultiple(node, 'slide', slideMs, parent.slideMs);
    const batches = windowMs / parent.slideMs;
    const branches = parent.branches * batches;
    if (windowMs / this.#batchIntervalMs > WINDOW_BATCHES_MAX || branches > BRANCHES_MAX) {
      this.problems.push(
        `${node.id}: a window of ${windowMs} ms is ${batches} batches, ${branches} with those of ` +
          `its parents; at most ${WINDOW_BATCHES_MAX} and ${BRANCHES_MAX} are possible: make the ` +
          'batch interval longer, or reduce shorter windows first',
      );
    }
    const { statefulId } = parent;
    return { slideMs, reachMs: parent.reachMs + windowMs - parent.slideMs, branches, statefulId };
  }

  #joined(node: NodeDescription, parents: readonly Times[], first: Times): Times {
    const other = parents.findIndex(({ slideMs }) => slideMs !== first.slideMs);
    if (other !== -1) {
      this.problems.push(
        `${node.id}: ${node.parents[0]} has a batch every ${first.slideMs} ms and ` +
          `${node.parents[other]} every ${parents[other]?.slideMs} ms; streams with different ` +
          'slides cannot be brought together',
      );
    }
    const reachMs = Math.max(...parents.map((parent) => parent.reachMs));
    const branches = node.kind === 'union' ? parents.reduce((n, each) => n + each.branches, 0) : 1;
    const isStateful = roleOf(node.kind) === 'state';
    const below = parents.find(({ statefulId }) => statefulId !== undefined);
    const statefulId = isStateful ? node.id : below?.statefulId;
    return { slideMs: first.slideMs, reachMs, branches, statefulId };
  }

  /** What was made of state in earlier batches cannot be made again: the state has moved on. A
   * window of one batch looks at none, unless it takes away again what leaves it. */
  #requireStateless(
    { id, kind, parents: [parent], options }: NodeDescription,
    { statefulId, slideMs }: Times,
  ): void {
    const isOne = options['windowMs'] === slideMs && !isSliding(kind);
    if (statefulId === undefined || isOne) return;
    const whose = parent === statefulId ? statefulId : `${parent}, which reads ${statefulId}`;
    this.problems.push(
      `${id}: a window cannot look at earlier batches of ${whose}: keyed state is there only as ` +
        'it is after the last batch. Put the window first and the state behind it, keep in the ' +
        `state what the window needs, or give the window the length of one batch, ${slideMs} ms`,
    );
  }

  #checkCheckpoint(node: NodeDescription): void {
    const { checkpointMs } = node.options;
    if (typeof checkpointMs !== 'number') return;
    const { slideMs } = present(this.times.get(node.id), `times of ${node.id}`);
    const count = checkpointMs / slideMs;
    if (Number.isSafeInteger(count) && count <= WINDOW_BATCHES_MAX) return;
    this.problems.push(
      `${node.id}: the interval of its checkpoint, ${checkpointMs} ms, must be a multiple of its ` +
        `slide, ${slideMs} ms, and at most ${WINDOW_BATCHES_MAX} times as long`,
    );
  }

  #requireMultiple(
    { id, parents: [parent] }: NodeDescription,
    ...[what, ms, ofMs]: readonly ['window' | 'slide', number, number]
  ): void {
    if (ms > 0 && ms % ofMs === 0) return;
    const whose = ofMs === this.#batchIntervalMs ? 'the batch interval' : `the slide of ${parent}`;
    this.problems.push(`${id}: its ${what}, ${ms} ms, must be a multiple of ${ofMs} ms, ${whose}`);
  }
}
