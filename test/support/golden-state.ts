/** The pipeline whose state the golden files of keyed state hold. @module */
import { StateRun } from './state-run.ts';

/** Batches that make the state; the next one is empty and shows it. */
export const GOLDEN_BATCHES: number = 3;

/** Keys and values of every kind that the codec knows. */
export function goldenRun(): StateRun {
  const batches = [
    [['a', 1] as const, [7, 2] as const, [2n, 3] as const],
    [[{ x: 1, y: [null, true] }, 4] as const, ['é'.repeat(40), 5] as const],
    [['a', 6] as const, ['gone', 7] as const],
    [],
  ];
  return new StateRun(batches, (pairs, keep) => {
    const last = (values: number[], state: object | undefined): object | undefined =>
      values.includes(7) ? undefined : { values, before: state ?? null, at: new Date(0) };
    keep('updated', pairs.updateStateByKey(last, { id: 'updated', partitions: 3 }));
    const mapped = pairs.mapWithState<unknown, number, number[], void>(
      (_key, value, state) => state.update([...(state.exists() ? state.get() : []), value ?? -1]),
      { id: 'mapped', timeout: '60s', initialState: [['initial', [0]]] },
    );
    keep('mapped', mapped.stateSnapshots());
  });
}
