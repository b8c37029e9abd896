/** The worked ports of Spark's examples run as their header comments say, over a real socket, in a
 * process of their own. Needs a built dist/.
 *
 * Each runs on a copy with the port of the test's server in place of 9999. In which batches lines
 * arrive is the machine's affair; what all batches hold together is not.
 * @module */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CommandPlace } from '../support/command.ts';
import type { CommandProcess } from '../support/command.ts';
import { LineServer } from '../support/peers.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** No wait of a test takes longer, on however slow a machine. */
const WAIT_LIMIT_MS = 200_000;
const ASK_MS = 20;

let place: CommandPlace;
let server: LineServer;

beforeEach(async () => {
  place = new CommandPlace();
  server = await LineServer.listen();
  mkdirSync(join(place.directory, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules/libsql'), join(place.directory, 'node_modules/libsql'));
});

afterEach(async () => {
  await server.close();
  await place.close();
});

/** One example under way, and its standard output. */
class Example {
  readonly #command: CommandProcess;
  #out = '';

  constructor(name: string) {
    const text = readFileSync(join(ROOT, 'examples', `${name}.ts`), 'utf8');
    expect(text.match(/9999\)/g), 'one port to replace').toHaveLength(1);
    const copy = text.replace('9999)', `${server.port})`);
    writeFileSync(join(place.directory, `${name}.ts`), copy);
    this.#command = place.start('run', `${name}.ts`, '--allow-network-file-system');
    this.#command.child.stdout?.on('data', (chunk: Buffer) => (this.#out += chunk.toString()));
  }

  /** Whole lines that it has printed. */
  get printed(): readonly string[] {
    return this.#out.split('\n').slice(0, -1);
  }

  /** Resolves when `test` holds. @throws when the example ends before. */
  async until(what: string, test: () => boolean): Promise<void> {
    const endMs = performance.now() + WAIT_LIMIT_MS;
    while (!test()) {
      const { exitCode, signalCode } = this.#command.child;
      const isOver = exitCode !== null || signalCode !== null;
      if (isOver) throw new Error(`${what}: ${JSON.stringify(await this.#command.ended)}`);
      if (performance.now() > endMs) throw new Error(`${what} never came: ${this.#out}`);
      await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    }
  }

  /** Ctrl-C, once. */
  async stop(): Promise<void> {
    this.#command.child.kill('SIGINT');
    const { code, err } = await this.#command.ended;
    expect(code, err).toBe(0);
  }

  async kill(): Promise<void> {
    this.#command.child.kill('SIGKILL');
    await this.#command.ended;
  }
}

/** Sums of all `(word,count)` in lines. */
function countsIn(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [, word = '', n] of lines.join('\n').matchAll(/\(([^(),]+),(\d+)\)/g)) {
    counts[word] = (counts[word] ?? 0) + Number(n);
  }
  return counts;
}

it('network-word-count prints what each batch has', async () => {
  const example = new Example('network-word-count');
  await server.send('to be or not to be\nto do\n');
  const counted = (): number => Object.values(countsIn(example.printed)).reduce((a, b) => a + b, 0);
  await example.until('eight words', () => counted() === 8);
  expect(countsIn(example.printed)).toEqual({ to: 3, be: 2, or: 1, not: 1, do: 1 });
  expect(example.printed.some((line) => /^Time: \d+ ms$/.test(line))).toBe(true);
  await example.stop();
});

it('stateful-network-word-count goes on from its initial state, also after a kill', async () => {
  const first = new Example('stateful-network-word-count');
  await server.send('hello you\nhello\n');
  await first.until('the second hello', () => first.printed.includes('(hello,3)'));
  expect(first.printed).toContain('(hello,2)');
  expect(first.printed).toContain('(you,1)');
  await first.kill();
  await server.hangUp();

  const second = new Example('stateful-network-word-count');
  await server.send('you hello world\n');
  await second.until('the new words', () => second.printed.includes('(world,2)'));
  expect(second.printed).toContain('(hello,4)');
  expect(second.printed).toContain('(you,2)');
  await second.stop();
});

it('recoverable-network-word-count appends every batch, leaves words out, and recovers', async () => {
  const file = join(place.directory, 'recoverable-counts.txt');
  const appended = (): string[] =>
    existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  const first = new Example('recoverable-network-word-count');
  await server.send('a fox and a dog\n');
  await first.until('the fox', () => 'dog' in countsIn(appended()));
  await first.until('dropped', () => first.printed.includes('Dropped 2 word(s) totally'));
  await first.kill();
  await server.hangUp();

  const second = new Example('recoverable-network-word-count');
  await server.send('the cat and b\n');
  await second.until('the cat', () => 'cat' in countsIn(appended()));
  await second.until('dropped', () => second.printed.some((line) => /^Dropped [13] /.test(line)));
  await second.stop();
  // One batch may be there twice, with equal lines, where the kill came before it was done.
  const lines = [...new Set(appended())];
  for (const line of lines) expect(line).toMatch(/^Counts at time \d+ ms \[.*\]$/);
  expect(new Set(lines.map((line) => line.split(' [')[0])).size).toBe(lines.length);
  expect(countsIn(lines)).toEqual({ fox: 1, and: 2, dog: 1, the: 1, cat: 1 });
});

it('sql-network-word-count groups with SQL', async () => {
  const example = new Example('sql-network-word-count');
  await server.send('one two two\n');
  const rows = (): string[] =>
    example.printed.flatMap((line) => {
      const [, word, total] = /'(\w+)'\D+(\d+)/.exec(line) ?? [];
      return word === undefined ? [] : [`${word} ${total}`];
    });
  await example.until('the table', () => rows().length > 0);
  expect(rows()).toEqual(['one 1', 'two 2']);
  expect(example.printed.some((line) => /^={9} \d+ ={9}$/.test(line))).toBe(true);
  await example.stop();
});
