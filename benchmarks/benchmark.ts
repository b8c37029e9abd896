/** What a benchmark is: one question, its axes as data, and how one sample is taken.
 *
 * Knows nothing of how samples are repeated, compared, shown or kept: harness.ts, report.ts. A
 * benchmark file exports one Benchmark, made with `defineBenchmark`, which types the points by the
 * axes. @module */

export type AxisValue = string | number;
export type Axes = Readonly<Record<string, readonly AxisValue[]>>;
/** One combination of axis values. */
export type Point = Readonly<Record<string, AxisValue>>;
export type PointOf<A extends Axes> = { readonly [Name in keyof A]: A[Name][number] };

/** What was measured at one point, once. A number that this machine cannot tell is left out. */
export type Sample = Readonly<Record<string, number>>;

/** How a measured number is shown. Results are kept undivided. */
export interface Metric {
  readonly unit: string;
  readonly digits: number;
  /** @defaultValue 1 */
  readonly divisor?: number;
}

/** Under what conditions a sample is taken. */
export interface Conditions {
  /** An empty directory of this sample alone, on the disk in question; removed afterwards. */
  readonly directory: string;
  /** How long to measure, after whatever warming up there is. */
  readonly seconds: number;
  /** Sizes are tiny: only whether everything works and counts are right is of interest. */
  readonly isSmoke: boolean;
}

interface Definition<A extends Axes> {
  /** That of its file, without `.bench.ts`. */
  readonly name: string;
  readonly question: string;
  readonly axes: A;
  /** The points of a smoke run. */
  readonly smokeAxes: A;
  /** Of the product of all axes, the points worth measuring. @defaultValue all */
  isWanted?(point: PointOf<A>): boolean;
  /** Samples of each point. @defaultValue 3 */
  readonly repetitions?: number;
  /** Length of a sample. */
  readonly seconds: number;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Another point of the same run that a point is compared to. */
  readonly baseline?: {
    readonly metric: string;
    /** @returns `undefined` where there is nothing to compare to. */
    of(point: PointOf<A>): PointOf<A> | undefined;
  };
  /** Takes one sample. @throws when a count is wrong: a fast wrong answer is no answer. */
  measure(point: PointOf<A>, conditions: Conditions): Promise<Sample>;
}

export type Benchmark = Definition<Axes>;

/** Checks the types of a definition and forgets its axes. */
export function defineBenchmark<const A extends Axes>(definition: Definition<A>): Benchmark {
  return definition;
}

/** All points of a benchmark, in the order of its axes. */
export function pointsOf(benchmark: Benchmark, { isSmoke }: { isSmoke: boolean }): Point[] {
  const axes = isSmoke ? benchmark.smokeAxes : benchmark.axes;
  let points: Point[] = [{}];
  for (const [name, values] of Object.entries(axes)) {
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
  }
  return points.filter((point) => benchmark.isWanted?.(point) ?? true);
}

/** `wal=sync batchInterval=1s`: names a point, and is a key for it. */
export function pointName(point: Point): string {
  return Object.entries(point)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

/** True when `point` has all values of `where`. */
export function isAt(point: Point, where: Readonly<Record<string, AxisValue>>): boolean {
  return Object.entries(where).every(([name, value]) => String(point[name]) === String(value));
}
