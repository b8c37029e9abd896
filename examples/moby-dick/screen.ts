/** What run.ts shows: a line that is redrawn at a terminal, one every few seconds elsewhere, and
 * the table at the end.
 * @module */
import type { SendTotals } from './clients.ts';
import type { EngineFacts } from './engine-process.ts';
import { percentile } from './verdict.ts';
import type { Comparison, Delivered } from './verdict.ts';

const ERASE_LINE = '\r\u001B[K';
/** Of the calls of `status`, where lines are not redrawn. */
const STATUS_EACH = 4;

export interface Status {
  readonly totals: SendTotals;
  readonly facts: EngineFacts;
  readonly startedMs: number;
}

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #statusCount = 0;
  #isStatusShown = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  say(text: string): void {
    this.endStatus();
    this.#stream.write(`${text}\n`);
  }

  status({ totals, facts, startedMs }: Status): void {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    const text =
      `${String(seconds).padStart(3)} s  sent ${number(totals.linesSent)} lines, acknowledged ` +
      `${number(totals.linesAcknowledged)}, tried again ${totals.retries} times; engine killed ` +
      `${facts.kills} times`;
    this.#statusCount += 1;
    if (this.#stream.isTTY) {
      this.#stream.write(`${ERASE_LINE}${text.slice(0, this.#stream.columns - 1)}`);
      this.#isStatusShown = true;
    } else if (this.#statusCount % STATUS_EACH === 0) this.#stream.write(`${text}\n`);
  }

  endStatus(): void {
    if (this.#isStatusShown) this.#stream.write(ERASE_LINE);
    this.#isStatusShown = false;
  }
}

export interface Verdict {
  readonly totals: SendTotals;
  readonly sendingMs: number;
  readonly repetitions: number;
  readonly delivered: Delivered;
  readonly words: Comparison;
  readonly facts: EngineFacts;
}

export function verdictTable(verdict: Verdict): string {
  const { totals, sendingMs, delivered, words, facts } = verdict;
  const seconds = sendingMs / 1_000;
  const rows: readonly (readonly [string, string])[] = [
    ['records (lines) sent', number(totals.linesSent)],
    ['  acknowledged', number(totals.linesAcknowledged)],
    ['  delivered', number(delivered.lineCount)],
    ['words sent', number(words.wordsExpected)],
    ['  delivered', number(words.wordsDelivered)],
    ['  lost', number(words.wordsLost)],
    ['  duplicated or invented', number(words.wordsTooMany)],
    ['engine killed (SIGKILL)', number(facts.kills)],
    ['  started again', number(facts.starts - 1)],
    ['  start until it takes records', `${ms(percentile(facts.startMs, 0.5))} median`],
    ['requests tried again', number(totals.retries)],
    ['  answered as known already', number(totals.knownAnswers)],
    ['batches', number(delivered.batches)],
    [
      'throughput',
      `${number(totals.linesSent / seconds)} lines/s, ${number(words.wordsDelivered / seconds)} ` +
        `words/s (paced) over ${seconds.toFixed(1)} s`,
    ],
    [
      'acknowledged at first try after',
      `p50 ${ms(percentile(totals.latenciesMs, 0.5))}, ` +
        `p99 ${ms(percentile(totals.latenciesMs, 0.99))}`,
    ],
    ['  at the latest, over a kill', ms(totals.latencyMsMax)],
    [
      'log sync',
      `p50 ${ms(percentile(facts.syncMsP50, 0.5))}, p99 ${ms(percentile(facts.syncMsP99, 0.99))}`,
    ],
  ];
  return rows.map(([name, value]) => `${name.padEnd(34)}${value}`).join('\n');
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function ms(value: number | undefined): string {
  return value === undefined ? 'unknown' : `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}
