/** Sinks in a real engine: what fails is told, nothing is done by half, and the worked example of
 * docs/sinks.md keeps its promise. Needs a built dist/.
 * @module */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lineAt, makeLines } from '../../src/sources/generator-lines.ts';
import { CommandPlace } from '../support/command.ts';
import { Document } from '../support/documents.ts';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

let site: PipelineSite;
let place: CommandPlace;
beforeEach(() => {
  site = new PipelineSite();
  place = new CommandPlace();
});
afterEach(async () => {
  await site.close();
  await place.close();
});

/** A sink that does nothing but what `steps` say. */
function sinkClass(steps: string): string {
  return `class Custom {
    target = 'nowhere';
    guarantee = 'at-least-once';
    async prepare() { return 'needed'; }
    async openPartition() {
      return { write() {}, close: async () => 1, abort: async () => {} };
    }
    async commit() {}
    ${steps}
  }`;
}

const TO_SQLITE = `.to(sqliteSink({
  file: directory + '/out.db', table: 'records', columns: { record: 'TEXT' },
}), { id: 'sqlite' })`;
const WITH_SQLITE = `import { sqliteSink } from 'millrace';`;

function rows(): unknown[] {
  const db = new Database(site.path('out.db'));
  try {
    return db.prepare('SELECT record FROM records ORDER BY record').raw().all().flat();
  } finally {
    db.close();
  }
}

describe('a batch of which one output fails', () => {
  const pipeline = (commit: string): string =>
    site.pipeline(
      `const records = ssc.queueStream([['a', 'b'], ['c']]).map((record) => [record]);
      records${TO_SQLITE};
      records.to(new Custom(), { id: 'custom' });`,
      { head: `${WITH_SQLITE} ${sinkClass(commit)}` },
    );

  it('is not done: it runs again, and the output that had committed stays as it is', async () => {
    pipeline(`async commit() { throw new Error('no room'); }`);
    const failure = await failureOf(site.finish());
    expect(failure).toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(failure.message).toMatch(
      /^batch \d+: the sink of custom \(nowhere\) could not commit: no room/,
    );
    expect(rows()).toEqual(['a', 'b']);
    pipeline('');
    await site.finish();
    expect(rows()).toEqual(['a', 'b', 'c']);
  });
});

describe('a sink', () => {
  it('that refuses at the start ends it before anything is received', async () => {
    site.pipeline(`ssc.generatorStream({ total: 5 }).to(new Custom());`, {
      head: sinkClass(`async open() { throw new Error('not ours'); }`),
    });
    const run = await site.open();
    const failure = await failureOf(run.context.start());
    expect(failure.message).toBe('the sink of to-0 (nowhere) could not be opened: not ours');
    expect(run.of('receiver-started')).toEqual([]);
  });

  it('whose writers fail now and then is tried again, and has each record once', async () => {
    site.pipeline(
      `ssc.queueStream([['a', 'b', 'c']]).repartition(1).to(new Custom(), { id: 'flaky' });`,
      {
        head: `import { appendFileSync } from 'node:fs';
        ${sinkClass(`async openPartition(batch, partition, attempt) {
          const records = [];
          return {
            write(record) {
              if (attempt === 0 && record === 'b') throw new Error('busy');
              records.push(record);
            },
            close: async () => records,
            abort: async () => {},
          };
        }
        async commit({ outputId, epoch }, tokens) {
          const text = [outputId, epoch, ...tokens.flat()].join(' ');
          appendFileSync(${JSON.stringify(site.path('committed'))}, text + '\\n');
        }`)}`,
      },
    );
    const run = await site.finish();
    expect(run.of('task-failed')).toHaveLength(1);
    expect(site.lines('committed')).toEqual(['flaky 1 a c b']);
  });

  it('that never answers does not hold up a stop at once', async () => {
    site.pipeline(`ssc.generatorStream({ recordsPerSecond: 100 }).to(new Custom());`, {
      head: `import { writeFileSync } from 'node:fs';
      ${sinkClass(`commit() {
        writeFileSync(${JSON.stringify(site.path('waiting'))}, '');
        return new Promise(() => {});
      }`)}`,
    });
    const run = await site.start();
    await run.until('the commit', () => existsSync(site.path('waiting')));
    await run.context.stop({ graceful: false });
    expect(run.of('batch-completed')).toEqual([]);
  });

  it('may ask for the stop, and must not wait for what waits for it', async () => {
    site.pipeline(`ssc.generatorStream({ recordsPerSecond: 100 }).to(new Custom());`, {
      head: `const answers = [];
      globalThis.millraceSinkAnswers = answers;
      ${sinkClass(`async prepare() {
        const context = globalThis.millraceSinkContext;
        const refused = (error) => error.code + ' ' + error.message;
        answers.push(await context.slice('generatorStream-0', 0, 1).catch(refused));
        answers.push(await context.awaitTermination().catch(refused));
        answers.push(await context.stop());
        return 'needed';
      }`)}`,
    });
    const run = await site.open();
    const shared = globalThis as typeof globalThis & {
      millraceSinkContext?: unknown;
      millraceSinkAnswers?: unknown[];
    };
    shared.millraceSinkContext = run.context;
    await run.context.start();
    await run.context.awaitTermination();
    expect(shared.millraceSinkAnswers?.slice(0, 3)).toEqual([
      expect.stringMatching(/^CONTEXT_STATE slice\(\) is not possible in .* nor in a sink/),
      expect.stringMatching(/^CONTEXT_STATE awaitTermination\(\) is not possible/),
      undefined,
    ]);
    expect(run.of('batch-completed').length).toBeGreaterThan(0);
  });

  it('in a record that SQLite cannot keep names the operator and the column', async () => {
    site.pipeline(`ssc.queueStream([[new Date(0)]]).map((date) => [date])${TO_SQLITE};`, {
      head: WITH_SQLITE,
    });
    const failure = await failureOf(site.finish({ maxTaskFailures: 1 }));
    expect(failure).toMatchObject({ code: 'TASK_FAILED' });
    expect(failure.message).toMatch(/operator sqlite failed .* of column record is no value/);
    expect(rows()).toEqual([]);
  });
});

describe('docs/sinks.md', () => {
  it('has a sink that keeps each batch once, through a kill', async () => {
    const { blocks } = new Document('docs/sinks.md');
    const { text = '' } = blocks.find(({ text: each }) => each.startsWith('// reports.ts')) ?? {};
    writeFileSync(join(place.directory, 'reports.ts'), text);
    const anywhere = '--allow-network-file-system';
    const first = place.start('run', 'reports.ts', anywhere, '--log-level', 'debug');
    await first.line('batch-completed');
    first.child.kill('SIGKILL');
    await first.ended;
    const { code, err } = await place.run('run', 'reports.ts', anywhere);
    expect(code, err).toBe(0);
    const reports = join(place.directory, 'reports');
    const names = readdirSync(reports);
    expect(names.every((name) => /^\d+\.json$/.test(name))).toBe(true);
    const counts = names.flatMap((name) => {
      const report = JSON.parse(readFileSync(join(reports, name), 'utf8')) as {
        counts: [string, number][];
      };
      return report.counts.map(([, n]) => n);
    });
    const lines = makeLines(1, 100);
    const sent = Array.from({ length: 3_000 }, (_, n) => lineAt(lines, n).split(' ').length);
    expect(sum(counts)).toBe(sum(sent));
  });
});
