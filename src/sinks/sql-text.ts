/** Names and texts as SQL literals. Pure.
 * @module */

/** The name of a table or column. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
