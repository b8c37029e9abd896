/** Flags of a measurement as text, read and checked: what is wrong with them is noted, all of it.
 * @module */
import { parseDuration } from '../../core/duration.ts';
import { toError } from '../../core/errors.ts';

/** A call of a measurement as commander hands it over: text by attribute name. */
export interface MeasureCall {
  readonly operands: readonly string[];
  readonly given: Readonly<Record<string, unknown>>;
}

/** Where a report is to be written, as given; `-`: standard output. */
export interface ReportNames {
  readonly json: string | undefined;
  readonly html: string | undefined;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** By attribute name, as they would be typed. */
export type TextDefaults<N extends string> = Readonly<Record<N, string>>;

/** Values between commas. */
export interface ListFlag<T> {
  readonly flag: string;
  /** What one value has to be, for messages. */
  readonly expected: string;
  /** @returns `undefined` for what is no value. */
  readonly read: (each: string) => T | undefined;
}

/** Reads text values, and notes what is wrong with them; what is wrong reads as nothing. */
export class ArgumentReader<N extends string> {
  readonly problems: string[];
  readonly #given: Readonly<Record<string, unknown>>;
  readonly #defaults: TextDefaults<N>;

  constructor(
    given: Readonly<Record<string, unknown>>,
    defaults: TextDefaults<N>,
    problems: string[],
  ) {
    this.#given = given;
    this.#defaults = defaults;
    this.problems = problems;
  }

  text(name: string): string | undefined {
    const value = this.#given[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** Each value once, also where the default is taken. */
  list<T>(name: N, flag: ListFlag<T>): T[] {
    return this.#values(this.text(name) ?? this.#defaults[name], flag);
  }

  /** The same where there is no default. */
  listIfGiven<T>(name: string, flag: ListFlag<T>): T[] | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : this.#values(text, flag);
  }

  number(name: N, flag: string, { min, max }: Range): number {
    const given = this.text(name) ?? this.#defaults[name];
    const value = given.trim() === '' ? Number.NaN : Number(given);
    if (value >= min && value <= max) return value;
    this.problems.push(`${flag} is '${given}' and must be ${min} to ${max}`);
    return min;
  }

  whole(name: N, flag: string, { min, max }: Range): number {
    const given = this.text(name) ?? this.#defaults[name];
    const value = wholeIn(given, min, max);
    if (value !== undefined) return value;
    this.problems.push(`${flag} is '${given}' and must be a whole number, ${min} to ${max}`);
    return min;
  }

  /** Whatever lies there now. */
  reportNames(): ReportNames {
    const [json, html] = [this.text('json'), this.text('html')];
    if (html === '-') this.problems.push('--html needs the name of a file');
    if (html !== undefined && html === json) {
      this.problems.push('--json and --html name the same file');
    }
    return { json, html };
  }

  budget(): number | undefined {
    const given = this.text('budget');
    if (given === undefined) return undefined;
    try {
      return parseDuration(given);
    } catch (error) {
      this.problems.push(`--budget: ${toError(error).message}`);
      return undefined;
    }
  }

  #values<T>(text: string, { flag, expected, read }: ListFlag<T>): T[] {
    const found = new Set<T>();
    for (const each of text.split(',')) {
      const value = read(each.trim());
      if (value !== undefined) found.add(value);
      else this.problems.push(`${flag}: '${each.trim()}' is not ${expected}`);
    }
    return [...found];
  }
}

export function wholeIn(text: string, min: number, max: number): number | undefined {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

export function durationIn(text: string, minMs: number, maxMs: number): number | undefined {
  try {
    const ms = parseDuration(/^\d+$/.test(text) ? Number(text) : text);
    return ms >= minMs && ms <= maxMs ? ms : undefined;
  } catch {
    return undefined;
  }
}

export function isPlace(operand: string): boolean {
  return !operand.startsWith('-');
}

/** What is wrong with the operands of a tool that takes one place.
 * @param words `tool`: as it is called; `oneOnly`: what a second place is told; `instead`: flags of
 *   other tools, with what does the same here. */
export function operandProblems(
  operands: readonly string[],
  {
    tool,
    oneOnly,
    instead = new Map(),
  }: {
    readonly tool: string;
    readonly oneOnly: string;
    readonly instead?: ReadonlyMap<string, string>;
  },
): string[] {
  const unknown = operands.filter((operand) => !isPlace(operand));
  const places = operands.filter(isPlace);
  const problems = unknown.map((flag) => {
    const own = instead.get(flag.replace(/=.*/, ''));
    return `there is no flag ${flag}; ${own ?? `see ${tool} --help`}`;
  });
  // A value of an unknown flag looks like one more operand.
  if (unknown.length === 0 && places.length > 1) {
    problems.push(`${oneOnly}, and ${places.slice(1).join(' ')} is given too`);
  }
  return problems;
}
