/** The table that a sink writes to, as its options name it: the same for every database.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { OptionCheck } from '../dstream/option-check.ts';
import type { Sink } from '../dstream/sink.ts';
import { sqlName } from './sql-text.ts';

export interface TableTarget {
  readonly table: string;
  /** Name → type, in the order of the values of a row. */
  readonly columns: Readonly<Record<string, string>>;
  readonly batchTimeColumn: string | undefined;
}

/** A sink whose place belongs to one checkpoint directory, the first that wrote to it: all others
 * are refused there. By name, so that it holds for another copy of this package too. */
export interface OwnedPlace {
  readonly belongsToOneDirectory: true;
}

export function belongsToOneDirectory(sink: Sink<unknown>): boolean {
  const key: keyof OwnedPlace = 'belongsToOneDirectory';
  return key in sink;
}

/** The options that every sink for a table takes. */
export const TABLE_OPTIONS: readonly string[] = ['table', 'columns', 'batchTimeColumn'];

/** @param reserved names of the database's own tables begin so. Sound after `check.finish`. */
export function checkTable(
  check: OptionCheck,
  options: Readonly<Record<string, unknown>>,
  reserved: 'sqlite' | 'pg',
): TableTarget {
  const table = check.text('table', options['table']);
  check.require(
    !new RegExp(`^(${reserved}|millrace)_`, 'i').test(table),
    `table ${table} has a name that the database or millrace keeps for itself`,
  );
  const columns = Object.entries(Object(options['columns']) as Record<string, unknown>);
  check.require(columns.length > 0, "columns must name one at least, as { word: 'TEXT' }");
  for (const [name, type] of columns) check.text(`the type of column ${name}`, type);
  const { batchTimeColumn } = options;
  if (batchTimeColumn !== undefined) {
    const name = check.text('batchTimeColumn', batchTimeColumn);
    check.require(!columns.some(([other]) => other === name), `column ${name} is there twice`);
  }
  return {
    table,
    columns: Object.fromEntries(columns) as Readonly<Record<string, string>>,
    batchTimeColumn: batchTimeColumn as string | undefined,
  };
}

/** All columns that are written, as a list of SQL. */
export function columnList({ columns, batchTimeColumn }: TableTarget): string {
  const own = batchTimeColumn === undefined ? [] : [batchTimeColumn];
  return [...Object.keys(columns), ...own].map(sqlName).join(', ');
}

/** @param timeType of the column with the batch time. */
export function createTable(to: TableTarget, timeType: string): string {
  const { table, columns, batchTimeColumn } = to;
  const own = batchTimeColumn === undefined ? [] : [[batchTimeColumn, timeType] as const];
  const all = [...Object.entries(columns), ...own].map(
    ([name, type]) => `${sqlName(name)} ${type}`,
  );
  return `CREATE TABLE IF NOT EXISTS ${sqlName(table)} (${all.join(', ')})`;
}

/** What a writer hands over to the commit: no token of anything else gets there.
 * @param isSound of a token. @throws {MillraceError} BROKEN_INVARIANT. */
export function checkTokens<T>(
  tokens: readonly unknown[],
  isSound: (token: Readonly<Record<keyof T, unknown>>) => boolean,
): readonly T[] {
  for (const [partition, token] of tokens.entries()) {
    if (isSound(Object(token) as Record<keyof T, unknown>)) continue;
    throw new MillraceError(
      'BROKEN_INVARIANT',
      `the token of partition ${partition} did not come from its writer`,
    );
  }
  return tokens as readonly T[];
}
