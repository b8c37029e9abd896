/** The careful way of msgpack-codec.ts: one walk over a value before it is packed.
 *
 * Refuses, with its path (`value.a[3].f`), the first part that cannot be packed, and replaces what
 * msgpackr would not keep apart: a Map by `MapEntries`. Only containers on the way to a replaced
 * part are copied; everything else is returned as it is. Knows nothing of bytes.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';

/** Deeper values might be packed in one thread and overflow the stack of one that reads them. */
const DEPTH_MAX = 1000;
const PATH_STEPS_MAX = 20;
const PLAIN_IDENTIFIER = /^[A-Za-z_$][\w$]*$/u;

/** Declared by TypeScript from ES2024 on, present since Node 20. */
type WellFormedString = string & { isWellFormed(): boolean };

/** Stands for a Map: key, value, key, value … */
export class MapEntries {
  readonly flat: readonly unknown[];
  constructor(flat: readonly unknown[]) {
    this.flat = flat;
  }
}

/** Classes whose direct instances msgpackr packs and gives back whole. */
const WHOLE_CLASSES: ReadonlySet<unknown> = new Set<unknown>(
  [
    [MapEntries, Date, Set, RegExp, ArrayBuffer, DataView, Buffer],
    [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError],
    [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
    [Float32Array, Float64Array, BigInt64Array, BigUint64Array],
  ].flat(),
);

/** True for an object that must not go to msgpackr as it is, though msgpackr would take it: it
 * would come back empty (Promise, WeakMap, a Map's subclass …) or not at all (a subclass of a typed
 * array). */
export function isUnusual(value: object): boolean {
  if (WHOLE_CLASSES.has(value.constructor) || jsonHook(value) !== undefined) return false;
  return value instanceof Map || refusal(value) !== undefined;
}

/** The value, ready for msgpackr. Strings are not looked into: the bytes tell when one is suspect.
 * @throws {MillraceError} RECORD_UNSUPPORTED naming the path. */
export function prepare(value: unknown): unknown {
  return new Preparation(false).visit(value);
}

/** Looks into every string of the value.
 * @throws {MillraceError} RECORD_UNSUPPORTED naming the path of a string with a lone surrogate. */
export function checkStrings(value: unknown): void {
  new Preparation(true).visit(value);
}

class Preparation {
  /** The containers between the root and the current part. */
  readonly #ancestors = new Set<object>();
  /** How to get from the root to the current part; written out only in an error. */
  readonly #steps: Step[] = [];
  readonly #checksStrings: boolean;

  constructor(checksStrings: boolean) {
    this.#checksStrings = checksStrings;
  }

  visit(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        this.#checkString(value, 'a string');
        return value;
      case 'function':
        throw this.#unsupported(value.name === '' ? 'a function' : `the function ${value.name}`);
      case 'symbol':
        throw this.#unsupported(`a symbol, ${String(value)}`);
      case 'object':
        return value === null ? null : this.#visitObject(value);
      default:
        return value;
    }
  }

  #visitStep(step: Step, part: unknown): unknown {
    if (typeof part === 'number' || (typeof part === 'string' && !this.#checksStrings)) return part;
    this.#steps.push(step);
    const prepared = this.visit(part);
    this.#steps.pop();
    return prepared;
  }

  #visitObject(value: object): unknown {
    if (this.#ancestors.has(value)) throw this.#unsupported('part of a cycle');
    if (this.#ancestors.size >= DEPTH_MAX) {
      throw this.#unsupported(`nested more than ${DEPTH_MAX} levels deep`);
    }
    this.#ancestors.add(value);
    const prepared = this.#visitParts(value);
    this.#ancestors.delete(value);
    return prepared;
  }

  #visitParts(value: object): unknown {
    const hook = jsonHook(value);
    if (hook !== undefined) {
      const json = this.#callToJSON(value, hook);
      if (json !== value) return this.#visitStep({ text: '.toJSON()' }, json);
    }
    const kind = refusal(value);
    if (kind !== undefined) throw this.#unsupported(kind);
    if (Array.isArray(value)) return this.#visitList(value) ?? value;
    if (value instanceof Map) return this.#visitMap(value);
    if (value instanceof Set) {
      const parts = this.#visitList([...value]);
      return parts === undefined ? value : new Set(parts);
    }
    if (value instanceof Error) return this.#visitError(value);
    if (value instanceof RegExp) this.#checkString(value.source, 'a pattern');
    return isOpaque(value) ? value : this.#visitFields(value);
  }

  #visitMap(map: ReadonlyMap<unknown, unknown>): MapEntries {
    const flat: unknown[] = [];
    for (const [key, entry] of map) {
      const at = flat.length / 2;
      flat.push(this.#visitStep({ text: `.keys[${at}]` }, key));
      const name = typeof key === 'string' ? JSON.stringify(key) : `keys[${at}]`;
      flat.push(this.#visitStep({ text: `.get(${name})` }, entry));
    }
    return new MapEntries(flat);
  }

  #visitError(error: Error): Error {
    this.#visitStep('name', error.name);
    this.#visitStep('message', error.message);
    const cause = this.#visitStep('cause', error.cause);
    if (cause === error.cause) return error;
    const copy = new Error(error.message, { cause });
    copy.name = error.name;
    return copy;
  }

  /** @returns undefined when no part was replaced. */
  #visitList(list: readonly unknown[]): unknown[] | undefined {
    let copy: unknown[] | undefined;
    for (let i = 0; i < list.length; i += 1) {
      const part = list[i];
      const prepared = this.#visitStep(i, part);
      if (Object.is(prepared, part)) continue;
      copy ??= [...list];
      copy[i] = prepared;
    }
    return copy;
  }

  #visitFields(value: object): object {
    const fields = Object.entries(value);
    let isReplaced = false;
    for (const field of fields) {
      this.#checkString(field[0], 'an object with a key');
      const prepared = this.#visitStep(field[0], field[1]);
      if (!Object.is(prepared, field[1])) isReplaced = true;
      field[1] = prepared;
    }
    return isReplaced ? Object.fromEntries(fields) : value;
  }

  #callToJSON(value: object, hook: () => unknown): unknown {
    try {
      return hook.call(value);
    } catch (error) {
      const reason = toError(error).message;
      throw this.#unsupported(`an object whose toJSON() throws: ${reason}`, error);
    }
  }

  #checkString(text: string, what: string): void {
    if (!this.#checksStrings || (text as WellFormedString).isWellFormed()) return;
    throw this.#unsupported(`${what} that holds a lone surrogate, which UTF-8 cannot express`);
  }

  #unsupported(what: string, cause?: unknown): MillraceError {
    const path = pathText(this.#steps);
    const options = cause === undefined ? {} : { cause };
    return new MillraceError('RECORD_UNSUPPORTED', `${path} cannot be stored: it is ${what}`, {
      ...options,
      details: { path },
    });
  }
}

/** An index, a property, or text that is not either. */
type Step = number | string | { readonly text: string };

/** `value.a[3].f`; the middle of a very long path is left out. */
function pathText(steps: readonly Step[]): string {
  const texts = steps.map((step) => {
    if (typeof step === 'number') return `[${step}]`;
    if (typeof step === 'object') return step.text;
    return PLAIN_IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  if (texts.length > PATH_STEPS_MAX) {
    texts.splice(PATH_STEPS_MAX / 2, texts.length - PATH_STEPS_MAX, ' … ');
  }
  return `value${texts.join('')}`;
}

/** What stands in the way, in words, or undefined. Objects of user classes never do. */
function refusal(value: object): string | undefined {
  if (WHOLE_CLASSES.has(value.constructor) || value.constructor === Object) return undefined;
  if (Array.isArray(value) || value instanceof Map || value instanceof Set) return undefined;
  if (value instanceof Error) return undefined;
  if (ArrayBuffer.isView(value)) return 'of a subclass of a typed array';
  if (isOpaque(value)) return undefined;
  // Built-in classes that keep their content out of sight carry a tag: Promise, WeakMap …
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
  if (tag === 'Object' || tag === 'Arguments') return undefined;
  if (tag === 'Promise') return 'a promise: await it first';
  return Object.keys(value).length > 0 && !BOXED_TAGS.has(tag) ? undefined : `a ${tag} object`;
}

/** A boxed string has own fields, its characters. */
const BOXED_TAGS: ReadonlySet<string> = new Set([
  'String',
  'Number',
  'Boolean',
  'Symbol',
  'BigInt',
]);

/** Packed whole: there are no parts to look at. */
function isOpaque(value: object): boolean {
  return (
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer ||
    value instanceof Date ||
    value instanceof RegExp
  );
}

/** The user's `toJSON`, where msgpackr asks it: not of plain objects, arrays, built-in classes. */
function jsonHook(value: object): (() => unknown) | undefined {
  if (value.constructor === Object || WHOLE_CLASSES.has(value.constructor)) return undefined;
  if (Array.isArray(value) || !('toJSON' in value)) return undefined;
  const hook = value.toJSON;
  if (typeof hook !== 'function' || hook === Date.prototype.toJSON) return undefined;
  return hook as () => unknown;
}
