/** From the body of a POST to records: what each content type means. Pure; knows no socket.
 *
 *      text/plain, or no type   one record per line; the final newline makes no record of its own,
 *                               empty lines between are empty records; \r\n ends a line as \n does
 *      application/json         one array; strings as they are, other elements as compact JSON text
 *      application/x-ndjson     one JSON value per line, taken like elements; blank lines are none
 *
 * Nothing is repaired: a body is taken whole or refused whole, so that a 4xx means "nothing
 * stored". JSON text keeps its digits (json-elements.ts). Source: RFC 9110 §8.3 and RFC 8259.
 * @module */
import { HttpRefusal } from './http-reply.ts';
import { arrayElements, compactJson } from './json-elements.ts';
import { splitLines } from './line-splitter.ts';
import { decodeUtf8, invalidUtf8Offset } from './utf8.ts';

export type BodyFormat = 'text' | 'json' | 'ndjson';

const FORMATS: ReadonlyMap<string, BodyFormat> = new Map([
  ['', 'text'],
  ['text/plain', 'text'],
  ['application/json', 'json'],
  ['application/x-ndjson', 'ndjson'],
]);

const TYPES_TAKEN =
  'text/plain (records separated by newlines), application/json (one array) or ' +
  'application/x-ndjson';
/** A lone half of a surrogate pair: JSON can write one, UTF-8 cannot. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** What a `content-type` header announces.
 * @throws {HttpRefusal} 415 for another type, or for another character set than UTF-8. */
export function bodyFormat(contentType: string | undefined): BodyFormat {
  const [type = '', ...parameters] = (contentType ?? '').split(';');
  const format = FORMATS.get(type.trim().toLowerCase());
  if (format === undefined) {
    throw new HttpRefusal(415, 'unsupported-type', {
      message:
        `content-type ${type.trim()} is not taken here; send ${TYPES_TAKEN}. ` +
        "With curl: -H 'content-type: text/plain' --data-binary @FILE",
      headers: { accept: 'text/plain, application/json, application/x-ndjson' },
    });
  }
  for (const parameter of parameters) {
    const charset = /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(parameter)?.[1];
    if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
      throw new HttpRefusal(415, 'unsupported-charset', {
        message: `charset ${charset} is not taken here; encode the body as UTF-8`,
      });
    }
  }
  return format;
}

/** All records of a body, in order.
 * @throws {HttpRefusal} 400 when the body is not UTF-8 or not what its type says. */
export function parseBody(body: Buffer, format: BodyFormat): string[] {
  if (body.byteLength === 0) return [];
  const text = decodeUtf8(body);
  if (text === undefined) {
    const offset = invalidUtf8Offset(body) ?? 0;
    throw badRequest('not-utf8', `the body is not UTF-8: byte ${offset} begins no character`);
  }
  switch (format) {
    case 'text':
      return splitLines(text.endsWith('\n') ? text.slice(0, -1) : text);
    case 'json':
      return parseArray(withoutMark(text));
    case 'ndjson':
      return parseNdjson(withoutMark(text));
    default:
      return format satisfies never;
  }
}

function parseArray(text: string): string[] {
  const value = parseJson(text, 'the body');
  if (!Array.isArray(value)) {
    throw badRequest('not-an-array', 'the body is JSON, but not an array: send ["record", …]');
  }
  const elements: readonly unknown[] = value;
  if (elements.every((element) => typeof element === 'string')) return elements.map(wellFormed);
  const sources = arrayElements(text);
  return sources.map((source, index) => {
    const element = elements[index];
    return typeof element === 'string' ? wellFormed(element) : source;
  });
}

function parseNdjson(text: string): string[] {
  const records: string[] = [];
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const value = parseJson(line, `line ${index + 1}`);
    records.push(typeof value === 'string' ? wellFormed(value) : compactJson(line));
  });
  return records;
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw badRequest('not-json', `${where} is not JSON: ${reason}`);
  }
}

/** A string that UTF-8 can hold; storing half a character would change it in silence. */
function wellFormed(record: string): string {
  if (LONE_SURROGATE.test(record)) {
    throw badRequest('not-utf8', 'a JSON string holds half of a surrogate pair (\\ud800…\\udfff)');
  }
  return record;
}

/** RFC 8259 §8.1: a byte order mark before JSON may be ignored. */
function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function badRequest(error: string, message: string): HttpRefusal {
  return new HttpRefusal(400, error, { message: `${message}. Nothing was stored.` });
}
