/** Kinds of option values: how each is checked, and how its range is told to the user.
 * @module */
import * as v from 'valibot';
import { formatBytes, parseBytes } from './bytes.ts';
import { parseDuration } from './duration.ts';
import { toError } from './errors.ts';

/** A schema with the words that follow "must be". */
export interface OptionKind<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  readonly expected: string;
  /** On the command line it takes no value: to give it is to say yes. */
  readonly isSwitch?: true;
  /** What is allowed, in short, for tables and help; absent where words are needed. */
  readonly range?: string;
  /** A value as users write it. @defaultValue `String` */
  readonly shown?: (value: number) => string;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

const HOUR_MS = 3_600_000;

export function duration({ min, max }: Range): OptionKind<number> {
  const range = `${durationText(min)} … ${durationText(max)}`;
  return {
    schema: v.pipe(parsed(parseDuration), v.minValue(min), v.maxValue(max)),
    expected: `a duration of ${range}, as milliseconds or text such as '200ms', '1s', '2m'`,
    range,
    shown: durationText,
  };
}

/** @param multiple the amount must be a multiple of. */
export function byteAmount({ min, max }: Range, multiple = 1): OptionKind<number> {
  const step = multiple === 1 ? '' : `, a multiple of ${formatBytes(multiple)}`;
  return {
    schema: v.pipe(parsed(parseBytes), v.minValue(min), v.maxValue(max), v.multipleOf(multiple)),
    expected: `${formatBytes(min)} … ${formatBytes(max)}${step}, as bytes or text such as '64MiB'`,
    range: `${formatBytes(min)} … ${formatBytes(max)}${step}`,
    shown: formatBytes,
  };
}

export function integer({ min, max }: Range): OptionKind<number> {
  return {
    schema: v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max)),
    expected: `a whole number, ${min} … ${max}`,
    range: `${min} … ${max}`,
  };
}

export function oneOf<const T extends string>(values: readonly T[]): OptionKind<T> {
  const range = values.join(', ');
  return { schema: v.picklist(values), expected: `one of ${range}`, range };
}

/** @param expected in words, what the pattern says. */
export function text(pattern: RegExp, expected: string): OptionKind<string> {
  return { schema: v.pipe(v.string(), v.regex(pattern)), expected };
}

export function textOrFalse(expected: string): OptionKind<string | false> {
  return { schema: v.union([v.pipe(v.string(), v.nonEmpty()), v.literal(false)]), expected };
}

export const yesOrNo: OptionKind<boolean> = {
  schema: v.boolean(),
  expected: 'true or false',
  isSwitch: true,
};

/** Numbers and text that `parse` understands. */
function parsed(parse: (given: number | string) => number): v.GenericSchema<unknown, number> {
  return v.pipe(
    v.union([v.number(), v.string()]),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        addIssue({ message: toError(error).message });
        return NEVER;
      }
    }),
  );
}

function durationText(ms: number): string {
  if (ms >= HOUR_MS && ms % HOUR_MS === 0) return `${ms / 60_000}m`;
  return ms >= 1000 && ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
