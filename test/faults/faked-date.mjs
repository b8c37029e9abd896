/** Loaded before anything else in every thread of an engine (`--import`): a wall clock that jumps.
 * `?file=…` in its URL names the file that says by how many milliseconds it is off now, so that all
 * threads jump together. Whoever changes it puts another file in its place. @module */
import { readFileSync } from 'node:fs';

const file = new URL(import.meta.url).searchParams.get('file');
const RealDate = Date;

function offsetMs() {
  return Number(readFileSync(file, 'utf8'));
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
