/** One combination of what `millrace tune` varies, all of them, and who lies beside whom. Pure.
 * @module */

export interface Setting {
  /** Divides `batchIntervalMs`. */
  readonly blockIntervalMs: number;
  /** Threads that run receivers. */
  readonly receiverExecutors: number;
  /** Threads that run tasks. */
  readonly executors: number;
  readonly batchIntervalMs: number;
}

/** The values of each axis, each value once. */
export interface Axes {
  readonly blockIntervalsMs: readonly number[];
  readonly receiverExecutors: readonly number[];
  readonly executors: readonly number[];
  readonly batchIntervalsMs: readonly number[];
}

/** All settings in which the block interval divides the batch interval. */
export function settingsOf(axes: Axes): Setting[] {
  const settings: Setting[] = [];
  for (const batchIntervalMs of axes.batchIntervalsMs) {
    for (const blockIntervalMs of axes.blockIntervalsMs) {
      if (batchIntervalMs % blockIntervalMs !== 0) continue;
      for (const receiverExecutors of axes.receiverExecutors) {
        for (const executors of axes.executors) {
          settings.push({ blockIntervalMs, receiverExecutors, executors, batchIntervalMs });
        }
      }
    }
  }
  return settings;
}

/** Names a setting, and is a key for it. `batch 1s, block 200ms, 1 receiving, 2 running tasks` */
export function settingText(setting: Setting): string {
  const { batchIntervalMs, blockIntervalMs, receiverExecutors, executors } = setting;
  return (
    `batch ${durationText(batchIntervalMs)}, block ${durationText(blockIntervalMs)}, ` +
    `${receiverExecutors} receiving, ${executors} running tasks`
  );
}

/** As it is typed behind `millrace run PIPELINE`. */
export function flagsText(setting: Setting): string {
  return (
    `--batch-interval ${durationText(setting.batchIntervalMs)} ` +
    `--block-interval ${durationText(setting.blockIntervalMs)} ` +
    `--receiver-executors ${setting.receiverExecutors} --executors ${setting.executors}`
  );
}

/** As it stands in `definePipeline({ … })`. */
export function optionsText(setting: Setting): string {
  return (
    `batchInterval: '${durationText(setting.batchIntervalMs)}', ` +
    `blockInterval: '${durationText(setting.blockIntervalMs)}', ` +
    `receiverExecutors: ${setting.receiverExecutors}, executors: ${setting.executors}`
  );
}

export function durationText(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** A place on each axis, 0 to 1, so that axes can be compared. */
type Place = readonly number[];

/** Where settings lie to each other. */
export class SettingSpace {
  readonly settings: readonly Setting[];
  readonly #places: ReadonlyMap<Setting, Place>;
  readonly #steps: ReadonlyMap<Setting, readonly number[]>;

  /** @param settings one or more. */
  constructor(settings: readonly Setting[]) {
    this.settings = settings;
    const axes = AXES.map((valueOf) =>
      [...new Set(settings.map(valueOf))].toSorted((a, b) => a - b),
    );
    const stepsOf = (setting: Setting): number[] =>
      AXES.map((valueOf, axis) => axes[axis]?.indexOf(valueOf(setting)) ?? 0);
    this.#steps = new Map(settings.map((setting) => [setting, stepsOf(setting)]));
    this.#places = new Map(
      settings.map((setting) => [
        setting,
        stepsOf(setting).map((step, axis) => step / Math.max(1, (axes[axis]?.length ?? 1) - 1)),
      ]),
    );
  }

  /** All settings: `first`, then always the one that lies farthest from those before it, so that
   * any beginning of the list is spread over the whole space. */
  spread(first: Setting): Setting[] {
    const chosen = [first];
    const left = new Map(
      this.settings
        .filter((setting) => setting !== first)
        .map((setting) => [setting, this.#distance(setting, first)]),
    );
    while (left.size > 0) {
      const [next] = [...left].reduce((best, each) => (each[1] > best[1] ? each : best));
      left.delete(next);
      chosen.push(next);
      for (const [setting, distance] of left) {
        left.set(setting, Math.min(distance, this.#distance(setting, next)));
      }
    }
    return chosen;
  }

  /** Those that differ in one axis by one step, as far as they are settings. */
  neighbours(of: Setting): Setting[] {
    const mine = this.#steps.get(of) ?? [];
    return this.settings.filter((setting) => {
      const steps = this.#steps.get(setting) ?? [];
      return steps.reduce((sum, step, axis) => sum + Math.abs(step - (mine[axis] ?? 0)), 0) === 1;
    });
  }

  /** The one that is nearest to what may be no setting of this space. */
  nearest(to: Setting): Setting {
    const difference = (setting: Setting): number =>
      AXES.reduce((sum, valueOf) => sum + Math.abs(Math.log(valueOf(setting) / valueOf(to))), 0);
    return this.settings.reduce((best, each) =>
      difference(each) < difference(best) ? each : best,
    );
  }

  #distance(a: Setting, b: Setting): number {
    const placeOfB = this.#places.get(b) ?? [];
    return (this.#places.get(a) ?? []).reduce(
      (sum, place, axis) => sum + Math.abs(place - (placeOfB[axis] ?? 0)),
      0,
    );
  }
}

const AXES: readonly ((setting: Setting) => number)[] = [
  ({ batchIntervalMs }) => batchIntervalMs,
  ({ blockIntervalMs }) => blockIntervalMs,
  ({ receiverExecutors }) => receiverExecutors,
  ({ executors }) => executors,
];
