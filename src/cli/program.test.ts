/** @module */
import { expect, it } from 'vitest';
import { recordedIo } from '../../test/support/recorded-io.ts';
import { describeFlags } from '../core/options.ts';
import { createProgram, exitCodeOfCommander } from './program.ts';
import { readRunFlags } from './run-flags.ts';
import type { RunFlags } from './run-flags.ts';

interface Outcome {
  readonly out: string;
  readonly err: string;
  readonly exitCode: number | undefined;
  readonly operands: readonly string[];
  readonly flags: RunFlags | undefined;
}

/** @param line arguments, separated by spaces. */
async function call(line: string): Promise<Outcome> {
  const { io, said } = recordedIo();
  let operands: readonly string[] = [];
  let flags: RunFlags | undefined;
  const program = createProgram({
    io,
    version: '1.2.3',
    run: (given) => {
      operands = given.operands;
      flags = readRunFlags(given.given);
      return Promise.resolve();
    },
    runTool: () => Promise.resolve(),
  });
  let exitCode: number | undefined;
  try {
    await program.parseAsync(['node', 'millrace', ...line.split(' ').filter(Boolean)]);
  } catch (error) {
    exitCode = exitCodeOfCommander(error);
  }
  return { out: said.out.join(''), err: said.err.join(''), exitCode, operands, flags };
}

it('prints version and help on standard output', async () => {
  expect(await call('--version')).toMatchObject({ out: '1.2.3\n', err: '', exitCode: 0 });
  const help = await call('run --help');
  expect(help).toMatchObject({ err: '', exitCode: 0 });
  const text = help.out.replaceAll(/\s+/g, ' ');
  for (const { flag, range = '', defaultText = '' } of describeFlags()) {
    expect(text).toContain(flag);
    expect(text).toContain(range);
    expect(text).toContain(`(default: ${defaultText})`);
  }
  expect(text, 'each value has a name').not.toContain('<value>');
  for (const flag of ['--no-checkpoint', '--batches', '--log-level', '--json', '--supervise']) {
    expect(text).toContain(flag);
  }
  expect(text).toContain('Exit codes:');
  expect(text).not.toContain('--supervised');
});

it('says that check looks at no directory unless it is given one', async () => {
  const { out } = await call('check --help');
  const text = out.replaceAll(/\s+/g, ' ');
  expect(text).toContain('(default: none: only the module is looked at)');
  expect(text).not.toContain('(default: ./.millrace');
  expect((await call('explain --help')).out).toContain('(default: ./.millrace/<name of');
});

it('answers wrong commands with exit code 64 on standard error', async () => {
  for (const line of ['', 'bogus', '--wat', 'run p.ts --executors']) {
    const outcome = await call(line);
    expect(outcome).toMatchObject({ out: '', exitCode: 64 });
    expect(outcome.err).not.toBe('');
  }
});

it('reads every flag, numbers as numbers', async () => {
  const { flags } = await call(
    'run p.ts --batch-interval 500ms --block-interval 100 --executors 2 ' +
      '--receiver-executors 1 --checkpoint 7 --wal flush --memory 64MiB ' +
      '--checkpoint-interval 2s --max-task-failures 3 --batches 9 --json ' +
      '--graceful-stop-timeout 1m --log-level debug --drop-state a --drop-state b',
  );
  expect(flags).toEqual({
    options: {
      batchInterval: '500ms',
      blockInterval: 100,
      executors: 2,
      receiverExecutors: 1,
      durability: 'flush',
      memory: '64MiB',
      checkpointInterval: '2s',
      maxTaskFailures: 3,
      gracefulStopTimeout: '1m',
    },
    checkpointDir: '7',
    batches: 9,
    dropState: ['a', 'b'],
    logLevel: 'debug',
    isJson: true,
    problems: [],
  });
});

it('knows three answers to the question for a checkpoint directory', async () => {
  expect((await call('run p.ts')).flags?.checkpointDir).toBeUndefined();
  expect((await call('run p.ts --no-checkpoint')).flags?.checkpointDir).toBe(false);
});

it('does not let the last of --checkpoint and --no-checkpoint win in silence', async () => {
  for (const flags of ['--checkpoint a --no-checkpoint', '--no-checkpoint --checkpoint a']) {
    const { problems } = (await call(`run p.ts ${flags}`)).flags ?? {};
    expect(problems).toEqual([expect.stringContaining('exclude each other')]);
  }
  expect((await call('run p.ts --checkpoint a')).flags?.problems).toEqual([]);
});

it('does not take a place for failed logs where there are none', async () => {
  const line = 'run p.ts --no-checkpoint --on-wal-failure quarantine --quarantine q';
  const { problems, options } = (await call(line)).flags ?? {};
  expect(problems).toEqual([
    expect.stringMatching(/^--on-wal-failure quarantine and --no-checkpoint exclude each other/),
  ]);
  expect(options).toEqual({});
});

it('collects what is wrong instead of stopping at the first', async () => {
  const { operands, flags } = await call(
    'run --wat p.ts --batches 0 --log-level loud --no-checkpoint --wal sync --mirror m',
  );
  expect(operands).toEqual(['--wat', 'p.ts']);
  expect(flags?.problems).toEqual([
    expect.stringContaining("--log-level is 'loud'"),
    expect.stringContaining("--batches is '0'"),
    expect.stringContaining('--wal sync and --no-checkpoint exclude each other'),
    expect.stringContaining('--mirror and --no-checkpoint exclude each other'),
  ]);
});
