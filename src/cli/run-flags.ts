/** The flags of `millrace run`: declared from the options themselves, so that help, checks and
 * messages can never disagree with what the engine takes.
 *
 * Values are handed on as they were given: the engine checks flags and module together and tells
 * all problems at once. Only what the command line alone knows is checked here.
 * @module */
import { Option } from 'commander';
import type { Command } from 'commander';
import { describeFlags } from '../core/options.ts';
import type { FlagDescription } from '../core/options.ts';
import type { PipelineOptions } from '../core/options-types.ts';
import { LOG_LEVELS } from './talk.ts';
import type { LogLevel } from './talk.ts';

interface FlagText {
  /** How help names the value. */
  readonly value: string;
  readonly summary: string;
}

/** Words for each option that has a flag; an option without an entry still works, with its name.
 * A test asks for one each. */
const FLAG_TEXTS: Partial<Record<keyof PipelineOptions, FlagText>> = {
  batchInterval: { value: '<duration>', summary: 'how often a batch is cut' },
  blockInterval: {
    value: '<duration>',
    summary: 'how often a receiver cuts a block; divides the batch interval',
  },
  executors: { value: '<n>', summary: 'threads that run tasks' },
  receiverExecutors: { value: '<n>', summary: 'threads that run receivers, one log each' },
  checkpointDir: { value: '<dir>', summary: 'directory of logs and checkpoints' },
  mirrorDir: {
    value: '<dir>',
    summary: 'a second directory, on another disk, for everything the first one holds',
  },
  allowNetworkFileSystem: {
    value: '',
    summary: 'take a directory whose disk is behind a network',
  },
  durability: {
    value: '<level>',
    summary:
      'what an acknowledgement means: on the device (sync), handed to the system (flush), ' +
      'in memory (off)',
  },
  memory: { value: '<bytes>', summary: 'shared memory for blocks' },
  storageLevel: {
    value: '<level>',
    summary: 'where blocks wait: a full memory holds sources back (memory), or the log has them',
  },
  maxRate: { value: '<n>', summary: 'records that each receiver takes in a second' },
  backpressure: {
    value: '',
    summary: 'let receivers take no more than the batches get done',
  },
  concurrentBatches: { value: '<n>', summary: 'batches that may run at the same time' },
  catchUp: {
    value: '<how>',
    summary: 'batch times missed in downtime: one batch for all of them, or one each',
  },
  checkpointInterval: { value: '<duration>', summary: 'shortest time between two checkpoints' },
  remember: {
    value: '<duration>',
    summary: 'how long batches that are done stay readable, for slice() and longer windows',
  },
  maxTaskFailures: { value: '<n>', summary: 'tries of a task before its batch fails' },
  gracefulStopTimeout: { value: '<duration>', summary: 'how long a graceful stop may take' },
  receiverSegmentBytes: { value: '<bytes>', summary: 'length of one file of a receiver log' },
  driverSegmentBytes: { value: '<bytes>', summary: 'length of one file of the driver log' },
  onWalFailure: {
    value: '<what>',
    summary: 'when a receiver log fails: end, or go on elsewhere (not with --mirror)',
  },
  quarantineDir: { value: '<dir>', summary: 'where receivers go on then; on another disk' },
};

/** What the flags of one call say. */
export interface RunFlags {
  /** As given, not checked. */
  readonly options: Partial<Omit<PipelineOptions, 'name' | 'checkpointDir'>>;
  /** `false`: `--no-checkpoint`. */
  readonly checkpointDir: string | false | undefined;
  readonly batches: number | undefined;
  readonly dropState: readonly string[];
  readonly logLevel: LogLevel;
  readonly isJson: boolean;
  /** Wrong uses that only the command line knows of. */
  readonly problems: readonly string[];
}

/** Set when both were given: commander alone would let the last one win in silence. */
const BOTH_CHECKPOINTS = 'bothCheckpoints';

/** Adds the flags of options, for `run` and for commands that look at what a run would be.
 * @param defaults where such a command takes something else than a run, by option.
 * @param omitted options that have no place in such a command. */
export function addOptionFlags(
  command: Command,
  defaults: Partial<Record<keyof PipelineOptions, string>> = {},
  omitted: ReadonlySet<keyof PipelineOptions> = new Set(),
): void {
  const given = new Set<string>();
  for (const name of ['checkpoint', 'no-checkpoint']) {
    command.on(`option:${name}`, () => {
      given.add(name);
      command.setOptionValue(BOTH_CHECKPOINTS, given.size === 2);
    });
  }
  for (const flag of describeFlags()) {
    if (omitted.has(flag.option)) continue;
    const defaultText = defaults[flag.option];
    command.addOption(optionOf(defaultText === undefined ? flag : { ...flag, defaultText }));
    if (flag.option === 'checkpointDir') {
      const summary = 'keep nothing on disk: records do not survive the process';
      command.addOption(new Option('--no-checkpoint', summary));
    }
  }
  if (!omitted.has('checkpointDir')) addDropState(command);
}

function addDropState(command: Command): void {
  const summary = 'give up the state of an operator that does not fit any more; repeatable';
  command.addOption(
    new Option('--drop-state <id>', summary).argParser(
      (id: string, before: readonly string[] | undefined) => [...(before ?? []), id],
    ),
  );
}

/** Adds all flags to the `run` command. */
export function addRunFlags(command: Command): void {
  addOptionFlags(command);
  command
    .addOption(new Option('--batches <n>', 'stop gracefully after so many batches; from 1 on'))
    .addOption(
      new Option('--log-level <level>', `what is told; ${LOG_LEVELS.join(', ')} (default: info)`),
    )
    .addOption(new Option('--json', 'tell it as JSON lines, also at a terminal'))
    .addOption(
      new Option('--supervise', 'start the engine in a process of its own, again when it crashes'),
    )
    .addOption(new Option('--supervised').hideHelp());
}

/** Reads what commander parsed. @param given by attribute name. */
export function readRunFlags(given: Readonly<Record<string, unknown>>): RunFlags {
  const problems: string[] = [];
  const options: Record<string, unknown> = {};
  for (const flag of describeFlags()) {
    const value = given[optionOf(flag).attributeName()];
    if (value === undefined || flag.option === 'checkpointDir') continue;
    options[flag.option] = flag.option === 'mirrorDir' ? value : amount(value);
  }
  const { checkpoint } = given;
  const logLevel = LOG_LEVELS.find((level) => level === (given['logLevel'] ?? 'info'));
  if (logLevel === undefined) {
    const levels = LOG_LEVELS.join(', ');
    problems.push(`--log-level is '${String(given['logLevel'])}' and must be one of ${levels}`);
  }
  const batches = given['batches'] === undefined ? undefined : Number(given['batches']);
  if (batches !== undefined && !(Number.isInteger(batches) && batches >= 1)) {
    const range = 'a whole number from 1 on';
    problems.push(`--batches is '${String(given['batches'])}' and must be ${range}`);
  }
  if (given[BOTH_CHECKPOINTS] === true) {
    problems.push('--checkpoint and --no-checkpoint exclude each other: give one of them');
  }
  const { durability } = options;
  if (checkpoint === false && (durability === 'sync' || durability === 'flush')) {
    problems.push(
      `--wal ${durability} and --no-checkpoint exclude each other: without a directory there is ` +
        'no log',
    );
    delete options['durability']; // told; the check of options would tell it again
  }
  if (checkpoint === false && options['mirrorDir'] !== undefined) {
    problems.push('--mirror and --no-checkpoint exclude each other: there is nothing to copy');
    delete options['mirrorDir'];
  }
  if (checkpoint === false && options['onWalFailure'] === 'quarantine') {
    problems.push(
      '--on-wal-failure quarantine and --no-checkpoint exclude each other: there is no log',
    );
    delete options['onWalFailure'];
    delete options['quarantineDir'];
  }
  return {
    options,
    checkpointDir: checkpoint as string | false | undefined,
    batches,
    dropState: (given['dropState'] ?? []) as readonly string[],
    logLevel: logLevel ?? 'info',
    isJson: given['json'] === true,
    problems,
  };
}

function optionOf(flag: FlagDescription): Option {
  const { value, summary } = FLAG_TEXTS[flag.option] ?? { value: '<value>', summary: flag.option };
  const range = flag.range === undefined ? '' : `; ${flag.range}`;
  const defaultText = flag.defaultText === undefined ? '' : ` (default: ${flag.defaultText})`;
  const form = flag.isSwitch ? flag.flag : `${flag.flag} ${value}`;
  return new Option(form, `${summary}${range}${defaultText}`);
}

/** A bare number is one: of milliseconds, of bytes, of threads. Everything else stays text. */
function amount(value: unknown): unknown {
  return typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}
