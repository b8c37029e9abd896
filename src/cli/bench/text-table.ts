/** Rows of cells, spreads and sentences as lines of text. Pure. @module */
import type { Spread } from './statistics.ts';

/** Columns as wide as they need to be, aligned at the left. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
}

/** `5.20 [4.90 … 5.31]` */
export function spreadText(
  { min, median, max }: Spread,
  { digits, divisor = 1 }: { readonly digits: number; readonly divisor?: number },
): string {
  const [low, middle, high] = [min, median, max].map((value) => (value / divisor).toFixed(digits));
  return `${middle} [${low} … ${high}]`;
}

const WRAP_COLUMNS = 100;

/** Words of a text, in lines that fit a terminal. */
export function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WRAP_COLUMNS) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
