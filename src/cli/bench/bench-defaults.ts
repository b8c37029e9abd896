/** What `millrace bench wal` measures unless told otherwise, as it would be typed. @module */

export interface BenchDefaults {
  readonly wal: string;
  readonly receivers: string;
  readonly blockIntervals: string;
  readonly recordBytes: string;
  readonly seconds: string;
  readonly repetitions: string;
}

export const BENCH_DEFAULTS: BenchDefaults = {
  wal: 'off,flush,sync',
  receivers: '1,2',
  blockIntervals: '50ms,200ms',
  recordBytes: '100,1000',
  seconds: '2',
  repetitions: '3',
};

/** With `--smoke`. */
export const SMOKE_DEFAULTS: BenchDefaults = {
  wal: 'off,sync',
  receivers: '1',
  blockIntervals: '50ms',
  recordBytes: '100',
  seconds: '0.3',
  repetitions: '1',
};
