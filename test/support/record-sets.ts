/** Compares delivered records with what was promised, record by record. @module */
import { expect } from 'vitest';

/** Asserts: every promised record came, nothing came that was not sent, and no record of
 * `onceOnly` came twice. */
export function checkRecords(
  delivered: readonly string[],
  facts: {
    readonly promised: Iterable<string>;
    readonly sent: ReadonlySet<string>;
    readonly onceOnly: ReadonlySet<string>;
  },
): void {
  const counts = new Map<string, number>();
  for (const record of delivered) counts.set(record, (counts.get(record) ?? 0) + 1);
  const lost = [...facts.promised].filter((record) => !counts.has(record));
  const invented = [...counts.keys()].filter((record) => !facts.sent.has(record));
  const repeated = [...facts.onceOnly].filter((record) => (counts.get(record) ?? 0) > 1);
  const found = { lost: some(lost), invented: some(invented), repeated: some(repeated) };
  expect(found).toEqual({ lost: [], invented: [], repeated: [] });
}

/** A message with a million records helps nobody. */
function some(records: readonly string[]): string[] {
  const shown = records.slice(0, 8).map((record) => record.slice(0, 60));
  return records.length > 8 ? [...shown, `and ${records.length - 8} more`] : shown;
}
