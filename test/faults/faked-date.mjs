/** Loaded before anything else in every thread of an engine (`--import`): a wall clock that jumps.
 * `?steps=ms:offset,…&from=…` in its URL says by how much it is off from which moment on; moments count
 * from `from`, by the machine's monotonic clock, so that all threads jump together. @module */
const query = new URL(import.meta.url).searchParams;
const fromMs = Number(query.get('from'));
const steps = query
  .get('steps')
  .split(',')
  .map((step) => step.split(':').map(Number));
const RealDate = Date;

function offsetMs() {
  const elapsedMs = Number(process.hrtime.bigint() / 1_000_000n) - fromMs;
  return steps.findLast(([atMs]) => atMs <= elapsedMs)?.[1] ?? 0;
}

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + offsetMs());
    else super(...args);
  }

  static now() {
    return RealDate.now() + offsetMs();
  }
};
