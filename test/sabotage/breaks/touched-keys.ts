/** Breaks of what a task of keyed state remembers of the keys that it touches. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const KEYS = unit('src/state/touched-keys.test.ts');
const VALUES = unit('src/state/state-value.test.ts');

export const TOUCHED_KEY_BREAKS: readonly Break[] = [
  {
    name: 'many touched keys lose the entries of the first ones',
    violates: 'keyed state: every key is found',
    file: 'src/state/touched-keys.ts',
    find: '    places.set(this.#places);\n',
    replace: '    places.set(this.#places.subarray(0, this.#places.length - 4));\n',
    caughtBy: KEYS,
  },
  {
    name: 'a touched key is found only in its own slot',
    violates: 'keyed state: every key is found',
    file: 'src/state/touched-keys.ts',
    find: 'if (slots[2 * slot] === hash && this.#isLastEncoded(number)) return number;',
    replace: 'if (slot === (hash & mask) && this.#isLastEncoded(number)) return number;',
    caughtBy: KEYS,
  },
  {
    name: 'a large number is written as a smaller one',
    violates: 'keyed state: values come back as they were',
    file: 'src/state/state-value.ts',
    find: '    if (value <= 0xffff) {\n',
    replace: '    if (value <= 0x1_ffff) {\n',
    caughtBy: VALUES,
  },
  {
    name: 'a short value is read with the rest of a longer one',
    violates: 'keyed state: values come back as they were',
    file: 'src/state/state-value.ts',
    find: 'const short = (this.#short[lengthBytes] ??= Buffer.alloc(lengthBytes));',
    replace: 'const short = (this.#short[0] ??= Buffer.alloc(SHORT_BYTES_MAX));',
    caughtBy: VALUES,
  },
];
