/** Cuts a stream of bytes at its newlines, with bounded memory. Knows no encoding and no source.
 *
 * It works on bytes because a newline byte never occurs inside a UTF-8 sequence: what it hands out
 * can be decoded alone, however the chunks were cut.
 *
 *      chunk 1         chunk 2          push(1) → 'a\nb'      (lines a, b; 'c' is kept)
 *      a \n b \n c     d \n e           push(2) → 'cd'        (line cd;    'e' is kept)
 *                                       finish() → 'e'
 *
 * Invariants: the bytes handed out, joined by newlines, are the bytes that came in; it keeps at
 * most `lineBytesMax` bytes. @module */

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** A line that is longer than the splitter may keep. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
  /** Of the line's first byte, from the start of the stream. */
  readonly lineOffset: number;

  constructor(lineOffset: number, lineBytesMax: number) {
    super(`the line at byte ${lineOffset} is longer than ${lineBytesMax} bytes`);
    this.lineOffset = lineOffset;
  }
}

export class LineSplitter {
  readonly #lineBytesMax: number;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #nextOffset = 0;
  #failure: LineTooLong | undefined;

  /** @param lineBytesMax longest line, without its newline. */
  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** Of the first byte that the next `push` or `finish` will hand out, from the stream's start. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Set by the `push` that met a line longer than allowed; that call still handed out the lines
   * before it. Nothing comes out of the splitter afterwards. */
  get failure(): LineTooLong | undefined {
    return this.#failure;
  }

  /** Whole lines, without the newline of the last one; `undefined` when no line has ended.
   * @param chunk may be kept and handed out again without a copy: do not write to it. */
  push(chunk: Buffer): Buffer | undefined {
    if (this.#failure !== undefined) return undefined;
    const end = this.#endOfLines(chunk);
    const rest = chunk.subarray(end + 1);
    if (end === -1) {
      this.#keep(rest);
      return undefined;
    }
    const head = chunk.subarray(0, end);
    const whole = this.#kept.length === 0 ? head : Buffer.concat([...this.#kept, head]);
    this.#nextOffset += whole.byteLength + 1;
    this.#drop();
    this.#keep(rest);
    return whole;
  }

  /** What follows the last newline; `undefined` when there is nothing. The splitter is empty
   * then. */
  finish(): Buffer | undefined {
    if (this.#keptBytes === 0) return undefined;
    const rest = Buffer.concat(this.#kept);
    this.#nextOffset += rest.byteLength;
    this.#drop();
    return rest;
  }

  /** Forgets the line that has begun. @returns how many bytes of it were kept. */
  abandon(): number {
    const bytes = this.#keptBytes;
    this.#drop();
    return bytes;
  }

  /** Index of the newline that ends the last line to hand out, −1 for none. */
  #endOfLines(chunk: Buffer): number {
    // The usual case: nothing in here can be too long, one look from the end is enough.
    if (this.#keptBytes + chunk.byteLength <= this.#lineBytesMax) return chunk.lastIndexOf(NEWLINE);
    let end = -1;
    let lineBytes = this.#keptBytes;
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, end + 1);
      lineBytes += (newline === -1 ? chunk.byteLength : newline) - end - 1;
      if (lineBytes > this.#lineBytesMax) {
        const lineOffset = this.#nextOffset + (end === -1 ? 0 : this.#keptBytes + end + 1);
        this.#failure = new LineTooLong(lineOffset, this.#lineBytesMax);
        return end;
      }
      if (newline === -1) return end;
      end = newline;
      lineBytes = 0;
    }
  }

  #keep(bytes: Buffer): void {
    if (this.#failure !== undefined) return this.#drop();
    if (bytes.byteLength === 0) return;
    this.#kept.push(bytes);
    this.#keptBytes += bytes.byteLength;
  }

  #drop(): void {
    this.#kept = [];
    this.#keptBytes = 0;
  }
}

/** The lines of a text that has no final newline; a carriage return before a newline, and at the
 * very end, belongs to the line's end. Empty lines are lines. */
export function splitLines(text: string): string[] {
  const lines = text.split('\n');
  if (!text.includes('\r')) return lines;
  return lines.map((line) =>
    line.charCodeAt(line.length - 1) === CARRIAGE_RETURN ? line.slice(0, -1) : line,
  );
}
