/** What the pipelines do with the lines of `generatorStream`: shared with generator-check.ts, which
 * knows what must come out. Part of each pipeline's bundle. @module */

/** As in the floors: 100 bytes, which is about 20 words. */
export const RECORD_BYTES = 100;

/** Passes about one line in ten, and looks at its last character only: what is measured is the way
 * of a record to the function, not the function. */
export function isSelected(line: string): boolean {
  return line.endsWith('7');
}

/** Of a word `w0` … `w999`: makes a sum over counts depend on each of them. */
export function wordWeight(word: string): number {
  return Number(word.slice(1)) + 1;
}
