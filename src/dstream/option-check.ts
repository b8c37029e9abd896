/** Checks the options of one call and reports all problems in one message. Owns no defaults.
 * @module */
import { inspect } from 'node:util';
import { MillraceError } from '../core/errors.ts';

export interface NumberBounds {
  readonly min: number;
  readonly max: number;
}

/** One call's options under inspection: ask for each option, then call `finish`. What the methods
 * return is sound only after `finish` has returned. */
export class OptionCheck {
  readonly #call: string;
  readonly #problems: string[] = [];

  /** @param call how the message names the call, `httpTextStream`. */
  constructor(call: string) {
    this.#call = call;
  }

  /** Adds a problem unless `holds`. */
  require(holds: boolean, problem: string): void {
    if (!holds) this.#problems.push(problem);
  }

  /** The given options as an object without keys other than `allowed`. */
  object(given: unknown, allowed: readonly string[]): Readonly<Record<string, unknown>> {
    if (given === undefined) return {};
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      this.#problems.push(`options must be an object, not ${show(given)}`);
      return {};
    }
    for (const key of Object.keys(given)) {
      this.require(
        allowed.includes(key),
        `there is no option ${key} (known are ${allowed.join(', ')})`,
      );
    }
    return { ...given };
  }

  integer(name: string, value: unknown, { min, max }: NumberBounds): number {
    const isSound =
      Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
    this.require(isSound, `${name} must be an integer from ${min} to ${max}, not ${show(value)}`);
    return value as number;
  }

  text(name: string, value: unknown): string {
    const isSound = typeof value === 'string' && value.length > 0;
    this.require(isSound, `${name} must be text that is not empty, not ${show(value)}`);
    return isSound ? value : '';
  }

  oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
    const isSound = (allowed as readonly unknown[]).includes(value);
    this.require(isSound, `${name} must be one of ${allowed.join(', ')}, not ${show(value)}`);
    return value as T;
  }

  /** A function that is not asynchronous. */
  syncFunction(name: string, value: unknown): void {
    this.function(name, value);
    this.require(
      !ASYNC_TAGS.has(Object.prototype.toString.call(value)),
      `${name} must not be asynchronous: its result is needed at once ` +
        '(only foreachBatch and foreachPartition may await)',
    );
  }

  function(name: string, value: unknown): void {
    this.require(typeof value === 'function', `${name} must be a function, not ${show(value)}`);
  }

  /** @throws {MillraceError} OPTIONS_INVALID with every problem found. */
  finish(): void {
    if (this.#problems.length === 0) return;
    throw new MillraceError('OPTIONS_INVALID', `${this.#call}: ${this.#problems.join('; ')}`);
  }
}

const ASYNC_TAGS: ReadonlySet<string> = new Set([
  '[object AsyncFunction]',
  '[object AsyncGeneratorFunction]',
]);

const SHOWN_CHARS_MAX = 80;

/** A value as a message shows it. */
function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (value instanceof Promise) return 'a promise';
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}
