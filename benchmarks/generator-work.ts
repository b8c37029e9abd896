/** What the pipelines do with the lines of `generatorStream`: shared with generator-check.ts and
 * operator-check.ts, which know what must come out. Part of each pipeline's bundle. @module */

/** As in the floors: 100 bytes, which is about 20 words. */
export const RECORD_BYTES = 100;

/** Of the two inputs of a join. */
export const JOIN_SEEDS = [1, 2] as const;

/** Passes about one line in ten, and looks at its last character only: what is measured is the way
 * of a record to the function, not the function. */
export function isSelected(line: string): boolean {
  return line.endsWith('7');
}

/** Passes every line of the input. */
export function isText(line: string): boolean {
  return line !== '';
}

/** Passes about one line in five, and looks at most of it. */
export function hasWord(line: string): boolean {
  return line.includes('w77');
}

/** One of about 600 among the lines of a seed. */
export function firstWord(line: string): string {
  return line.slice(0, line.indexOf(' '));
}

/** Of a word `w0` … `w999`: makes a sum over counts depend on each of them. */
export function wordWeight(word: string): number {
  return Number(word.slice(1)) + 1;
}

/** What the `json` pipeline parses. */
export interface Payment {
  readonly user: string;
  readonly amount: number;
}

/** Lines of one `store` call, after which they come again. */
export const JSON_LINES = 512;

/** 104 to 107 bytes, of one of 100 users. @param index of the line, from 0. */
export function jsonLine(index: number): string {
  return JSON.stringify({
    user: `user-${index % 100}`,
    amount: (index * 37) % 1_000,
    currency: 'EUR',
    method: 'transfer',
    tags: ['new', 'web'],
    when: 1_700_000_000,
  });
}
