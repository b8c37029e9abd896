/** Parses objects of about 100 bytes and adds up their amounts by user. Their text is made once, in
 * the receiver, and stored again and again, as `generatorStream` does with its lines: making it
 * costs nothing beside parsing it. @module */
import { Receiver, definePipeline } from 'millrace';
import { JSON_LINES, jsonLine } from './generator-work.ts';
import type { Payment } from './generator-work.ts';

/** `store` calls that may be under way, as of `generatorStream`. */
const CALLS_MAX = 512;

class JsonLines extends Receiver<string> {
  readonly #lines = Array.from({ length: JSON_LINES }, (_, n) => jsonLine(n));
  #isStopping = false;

  onStart(): void {
    for (let call = 0; call < CALLS_MAX; call += 1) void this.#send();
  }

  onStop(): void {
    this.#isStopping = true;
  }

  /** One call after the other. The last one settles by itself; nothing waits for it. */
  async #send(): Promise<void> {
    try {
      while (!this.#isStopping) await this.store(this.#lines, {});
    } catch (error) {
      if (!this.#isStopping) this.restart('objects were not stored', error);
      this.#isStopping = true;
    }
  }
}

export default definePipeline({ name: 'json' }, (ssc) => {
  ssc
    .receiverStream(() => new JsonLines(), { storageLevel: 'memory' })
    .map((text) => JSON.parse(text) as Payment)
    .mapToPair(({ user, amount }) => [user, amount])
    .reduceByKey((a: number, b: number) => a + b)
    .foreachBatch(async (batch) => {
      let [amount, weighted] = [0, 0];
      for (const [user, sum] of await batch.collect()) {
        amount += sum;
        weighted += sum * Number(user.slice('user-'.length));
      }
      console.log(`sums ${amount} ${weighted}`);
    });
});
