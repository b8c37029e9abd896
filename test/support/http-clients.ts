/** Clients that post records until they are acknowledged, and remember what they were told: what the
 * engine has promised is in their memory, which no kill of the engine touches. @module */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from './peers.ts';

const RECORDS_A_POST = 20;
const RETRY_MS = 20;
/** A request that gets no answer in this time is sent again. */
const ANSWER_LIMIT_MS = 5_000;

export interface Promises {
  /** Every record of every request that was answered with 200. */
  readonly acknowledged: ReadonlySet<string>;
  /** Those that were sent once and answered at once. */
  readonly acknowledgedAtFirst: ReadonlySet<string>;
  /** Every record that left a client, whatever became of it. */
  readonly sent: ReadonlySet<string>;
  /** Answers by status; 0 stands for no answer. */
  readonly answers: ReadonlyMap<number, number>;
}

export interface HttpClientsOptions {
  readonly port: number;
  readonly clients: number;
  readonly withKeys: boolean;
  /** Bytes added to each record. */
  readonly paddingBytes?: number;
  /** Begins each name, so that two sets of clients send different records. @defaultValue `c` */
  readonly name?: string;
}

export class HttpClients implements Promises {
  readonly acknowledged = new Set<string>();
  readonly acknowledgedAtFirst = new Set<string>();
  readonly sent = new Set<string>();
  readonly answers = new Map<number, number>();
  readonly #options: HttpClientsOptions;
  readonly #padding: string;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #done: Promise<unknown>;
  #isStopping = false;
  #isGivenUp = false;

  /** They begin at once. */
  constructor(options: HttpClientsOptions) {
    this.#options = options;
    this.#padding = 'x'.repeat(options.paddingBytes ?? 0);
    const all = Array.from({ length: options.clients }, (_, client) => this.#run(client));
    this.#done = Promise.all(all);
  }

  /** Begins no further request; resolves when every one that was begun is acknowledged. */
  async finish(): Promise<void> {
    this.#isStopping = true;
    await this.#done;
    this.#agent.destroy();
  }

  /** Ends them where they are: requests under way stay unacknowledged. */
  async giveUp(): Promise<void> {
    this.#isGivenUp = true;
    await this.finish();
  }

  async #run(client: number): Promise<void> {
    const { name = 'c' } = this.#options;
    for (let post = 0; !this.#isStopping; post += 1)
      await this.#deliver(`${name}${client}-p${post}`);
  }

  /** Sends one request until it is acknowledged. */
  async #deliver(name: string): Promise<void> {
    const records = Array.from(
      { length: RECORDS_A_POST },
      (_, record) => `${name}-r${record}${this.#padding}`,
    );
    const body = records.join('\n');
    for (const record of records) this.sent.add(record);
    for (let attempt = 0; !this.#isGivenUp; attempt += 1) {
      const status = await this.#post(body, name);
      this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
      if (status === 200) {
        for (const record of records) {
          this.acknowledged.add(record);
          if (attempt === 0) this.acknowledgedAtFirst.add(record);
        }
        return;
      }
      await sleep(RETRY_MS);
    }
  }

  /** @returns the status of the answer, 0 when none came. */
  #post(body: string, key: string): Promise<number> {
    const { port, withKeys } = this.#options;
    const headers = {
      'content-type': 'text/plain',
      ...(withKeys ? { 'idempotency-key': key } : {}),
    };
    return new Promise((resolve) => {
      const posting = request(
        { host: '127.0.0.1', port, method: 'POST', path: '/', headers, agent: this.#agent },
        (response) => {
          response.resume();
          // A status whose answer breaks off is none: the client cannot rely on it.
          response.once('close', () => resolve(response.complete ? (response.statusCode ?? 0) : 0));
        },
      );
      posting.setTimeout(ANSWER_LIMIT_MS, () => posting.destroy());
      posting.once('error', () => resolve(0));
      posting.end(body);
    });
  }
}

/** A port that nobody uses now. The engine has to find the same one again after each kill, so that
 * it cannot choose one itself. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}
