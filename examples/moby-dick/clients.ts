/** HTTP clients that send the book, each request until it is answered: refused connections, resets,
 * 429 and 503 are tried again under the same Idempotency-Key; anything else ends the run.
 * @module */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Post } from './book.ts';

const RETRY_MS = 50;
const RETRY_MS_MAX = 1_000;
const ANSWER_MS_MAX = 30_000;
const RETRIED_STATUSES: ReadonlySet<number> = new Set([429, 503]);
/** What a client sees of a server that is not there, or goes away. */
const RETRIED_ERRORS: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

export interface SendPlan {
  readonly port: number;
  readonly clients: number;
  /** One repetition of the book. */
  readonly posts: readonly Post[];
  readonly repetitions: number;
  /** Request i is due i × this after the start. */
  readonly paceMs: number;
  /** Aborting it ends all clients. */
  readonly signal: AbortSignal;
}

/** Counted while it runs. */
export class SendTotals {
  postsAcknowledged = 0;
  linesSent = 0;
  linesAcknowledged = 0;
  retries = 0;
  /** Answered as known: an earlier try had been stored, its answer was lost. */
  knownAnswers = 0;
  /** From the first try to the answer, of requests answered at the first try. */
  readonly latenciesMs: number[] = [];
  /** The longest of all, tries again included. */
  latencyMsMax = 0;
}

/** Resolves when every request has been acknowledged.
 * @throws when a request is answered in a way that trying again cannot mend. */
export async function sendBook(plan: SendPlan, totals: SendTotals): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: plan.clients });
  const startedMs = performance.now();
  const postCount = plan.posts.length * plan.repetitions;
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < postCount) {
      const index = next;
      next += 1;
      const waitMs = startedMs + index * plan.paceMs - performance.now();
      if (waitMs > 0) await sleep(waitMs, undefined, { signal: plan.signal });
      const post = plan.posts[index % plan.posts.length];
      if (post !== undefined) await sendPost({ ...plan, agent }, { index, post }, totals);
    }
  };
  try {
    await Promise.all(Array.from({ length: plan.clients }, client));
  } finally {
    agent.destroy();
  }
}

interface Target {
  readonly port: number;
  readonly agent: Agent;
  readonly signal: AbortSignal;
}

async function sendPost(
  target: Target,
  { index, post }: { readonly index: number; readonly post: Post },
  totals: SendTotals,
): Promise<void> {
  const startedMs = performance.now();
  totals.linesSent += post.lineCount;
  for (let attempt = 0; ; attempt += 1) {
    const answer = await tryPost(target, `moby-dick-${index}`, post.body);
    if (answer !== 'again') {
      if (answer.records !== post.lineCount) {
        throw new Error(`${post.lineCount} lines were acknowledged as ${answer.records}`);
      }
      const latencyMs = performance.now() - startedMs;
      totals.postsAcknowledged += 1;
      totals.linesAcknowledged += post.lineCount;
      if (answer.duplicate === true) totals.knownAnswers += 1;
      if (attempt === 0) totals.latenciesMs.push(latencyMs);
      totals.latencyMsMax = Math.max(totals.latencyMsMax, latencyMs);
      return;
    }
    totals.retries += 1;
    const delayMs = Math.min(RETRY_MS * 2 ** attempt, RETRY_MS_MAX);
    await sleep(delayMs, undefined, { signal: target.signal });
  }
}

interface Answer {
  readonly records: number;
  readonly duplicate?: boolean;
}

async function tryPost(target: Target, key: string, body: string): Promise<Answer | 'again'> {
  try {
    const { status, text } = await post(target, key, body);
    if (status === 200) return JSON.parse(text) as Answer;
    if (RETRIED_STATUSES.has(status)) return 'again';
    throw new Error(`a POST was answered with ${status}: ${text.trim()}`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (RETRIED_ERRORS.has(code)) return 'again';
    throw error;
  }
}

function post(
  { port, agent, signal }: Target,
  key: string,
  body: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'text/plain; charset=utf-8', 'idempotency-key': key };
    const options = { host: '127.0.0.1', port, method: 'POST', agent, headers, signal };
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, text });
      });
    });
    outgoing.setTimeout(ANSWER_MS_MAX, () => {
      outgoing.destroy(new Error(`a POST was not answered within ${ANSWER_MS_MAX} ms`));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
