/** The lines that `generatorStream` makes: pure, and the same in every process and thread.
 *
 * A line is words `w0`…`w999`, one space between them, exactly `recordBytes` bytes of ASCII. 1,024
 * lines are made once from the seed and then cycled: record number n is line n modulo 1,024. So the
 * content of any run can be computed by whoever checks it. Part of the public promise: never change
 * what a seed gives. @module */
import { present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { seededRandom } from '../core/random.ts';
import type { Random } from '../core/random.ts';

/** How many different lines there are. */
export const LINE_COUNT = 1_024;
const WORD_BYTES_MAX = 4; // w999
const WORD_BYTES_MIN = 2; // w0

/** The 1,024 lines of a seed.
 * @param seed any integer.
 * @param recordBytes length of each line in bytes (no newline is part of it), 2 or more.
 * @throws {MillraceError} OPTIONS_INVALID: no line of words has fewer than 2 bytes. */
export function makeLines(seed: number, recordBytes: number): string[] {
  if (!Number.isSafeInteger(recordBytes) || recordBytes < WORD_BYTES_MIN) {
    throw new MillraceError(
      'OPTIONS_INVALID',
      `generatorStream: recordBytes ${recordBytes} is not a whole number of 2 or more ` +
        '(the shortest word is w0)',
    );
  }
  const random = seededRandom(seed);
  return Array.from({ length: LINE_COUNT }, () => makeLine(recordBytes, random));
}

/** Line of the record with this number. @param index of the record in the whole input, from 0. */
export function lineAt(lines: readonly string[], index: number): string {
  return present(lines[index % lines.length], `line ${index}`);
}

function makeLine(recordBytes: number, random: Random): string {
  const words: string[] = [];
  let room = recordBytes;
  while (room > WORD_BYTES_MAX) {
    // After this word and a space there must be room for one more word.
    const longest = Math.min(WORD_BYTES_MAX, room - WORD_BYTES_MIN - 1);
    const word = `w${Math.floor(random.next() * 10 ** (longest - 1))}`;
    words.push(word);
    room -= word.length + 1;
  }
  words.push(lastWord(room, random));
  return words.join(' ');
}

/** A word of exactly `bytes` bytes, 2…4. */
function lastWord(bytes: number, random: Random): string {
  const least = bytes === WORD_BYTES_MIN ? 0 : 10 ** (bytes - 2);
  return `w${least + Math.floor(random.next() * (10 ** (bytes - 1) - least))}`;
}
