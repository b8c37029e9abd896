/** Counts lines that an input refuses, and reports them without flooding whoever reads the reports.
 *
 * Each refusal counts; reported are the 1st, 2nd, 4th, 8th … with the count so far, and the total
 * at the end, so that no refused line goes unsaid and a broken peer does not fill the disk.
 * @module */

export class RefusedLines {
  readonly #report: (message: string) => void;
  #count = 0;
  #reportedCount = 0;

  /** @param report takes one message. */
  constructor(report: (message: string) => void) {
    this.#report = report;
  }

  get count(): number {
    return this.#count;
  }

  /** Counts one line. @param why names the line's fault. */
  add(why: string): void {
    this.#count += 1;
    if (this.#count < this.#reportedCount * 2) return;
    this.#reportedCount = this.#count;
    this.#report(`${why}; it was refused (${this.#count} refused on this connection)`);
  }

  /** Reports the final count, when refusals came after the last report. */
  reportTotal(): void {
    if (this.#count === this.#reportedCount) return;
    this.#reportedCount = this.#count;
    this.#report(`${this.#count} lines were refused on this connection in all`);
  }
}
