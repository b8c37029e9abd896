/** The source text of JSON values, without the white space between tokens. Knows nothing of HTTP.
 *
 * A JSON value that becomes a record keeps its digits: parsing and printing would turn
 * 9007199254740993 into …992 and 1e400 into null, in silence. So the text itself is kept,
 * compacted. It parses nothing: give it only text that `JSON.parse` has accepted; then brackets and
 * quotes balance, and a scan for them is enough. Source: RFC 8259. @module */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** One value without insignificant white space. @param json accepted by `JSON.parse`. */
export function compactJson(json: string): string {
  let compact = '';
  let from = 0; // start of what is not yet copied
  let at = 0;
  while (at < json.length) {
    const unit = json.charCodeAt(at);
    if (unit === QUOTE) {
      at = stringEnd(json, at);
    } else if (isWhiteSpace(unit)) {
      compact += json.slice(from, at);
      at += 1;
      from = at;
    } else {
      at += 1;
    }
  }
  return from === 0 ? json : compact + json.slice(from);
}

/** The compact source text of each element of an array.
 * @param json an array, accepted by `JSON.parse`. */
export function arrayElements(json: string): string[] {
  const compact = compactJson(json);
  const elements: string[] = [];
  let depth = 0;
  let from = 1;
  let at = 1;
  const end = compact.length - 1; // the closing bracket
  while (at < end) {
    const unit = compact.charCodeAt(at);
    if (unit === QUOTE) {
      at = stringEnd(compact, at);
      continue;
    }
    depth += depthChange(unit);
    if (unit === COMMA && depth === 0) {
      elements.push(compact.slice(from, at));
      from = at + 1;
    }
    at += 1;
  }
  if (end > 1) elements.push(compact.slice(from, end));
  return elements;
}

/** Index after the closing quote of the string that begins at `start`. */
function stringEnd(json: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const unit = json.charCodeAt(at);
    if (unit === BACKSLASH) at += 2;
    else if (unit === QUOTE || Number.isNaN(unit)) return at + 1;
    else at += 1;
  }
}

function depthChange(unit: number): number {
  if (unit === 0x5b || unit === 0x7b) return 1; // [ {
  if (unit === 0x5d || unit === 0x7d) return -1; // ] }
  return 0;
}

function isWhiteSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}
