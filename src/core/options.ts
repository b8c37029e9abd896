/** Options, from what was given in several places to one frozen object with a value for each.
 *
 * Precedence per option: flag > module > checkpoint > default. All problems are told in one
 * message. Resolved names carry their unit (`…Ms`, `…Bytes`). Rules for a restart: CONFIG_RULES.
 * @module */
import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import { safeParse } from 'valibot';
import { backpressure, RATE_MAX } from './backpressure-option.ts';
import { formatBytes } from './bytes.ts';
import { MillraceError } from './errors.ts';
import {
  byteAmount,
  duration,
  integer,
  oneOf,
  text,
  textOrFalse,
  yesOrNo,
} from './option-schemas.ts';
import type { OptionKind } from './option-schemas.ts';
import type { Backpressure, PipelineOptions } from './options-types.ts';
import { STORAGE_LEVELS } from './storage-level.ts';
import type { StorageLevel } from './storage-level.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const PAGE_BYTES = 4 * KIB;
const DAY_MS = 86_400_000;
const BLOCK_INTERVAL_MS = 200;
/** A default block interval is not made shorter than this to divide the batch interval. */
const BLOCK_INTERVAL_MS_WANTED = 20;

/** What a run goes by. Frozen. */
export interface ResolvedOptions {
  readonly name: string;
  readonly batchIntervalMs: number;
  /** Divides `batchIntervalMs`. */
  readonly blockIntervalMs: number;
  readonly executors: number;
  /** `undefined`: one per input with receivers, at most 4. */
  readonly receiverExecutors: number | undefined;
  /** As given, not made absolute. */
  readonly checkpointDir: string | false;
  /** A second place for everything that `checkpointDir` holds. As given. */
  readonly mirrorDir: string | false;
  /** Start also where a network stands between the log and its device. */
  readonly allowNetworkFileSystem: boolean;
  /** `off` when `checkpointDir` is false. */
  readonly durability: 'sync' | 'flush' | 'off';
  readonly memoryBytes: number;
  /** `undefined`: each input's own default. */
  readonly storageLevel: StorageLevel | undefined;
  /** Records per second of each receiver. `undefined`: no limit. */
  readonly maxRate: number | undefined;
  readonly backpressure: Backpressure | false;
  readonly concurrentBatches: number;
  readonly catchUp: 'coalesce' | 'replay';
  readonly checkpointIntervalMs: number;
  /** How long batches are kept at least, after all before them are done. */
  readonly rememberMs: number;
  readonly maxTaskFailures: number;
  readonly gracefulStopTimeoutMs: number;
  readonly blockBytesMax: number;
  readonly idempotencyKeysMax: number;
  readonly receiverSegmentBytes: number;
  readonly driverSegmentBytes: number;
  readonly onWalFailure: 'stop' | 'quarantine';
  /** As given, not made absolute. */
  readonly quarantineDir: string | undefined;
}

/** What a value in a checkpoint means to the next start.
 * `must-match`: it counts where nobody gives another, and another one is refused.
 * `may-change`: each run has its own, and a change of it is told. What a flag said once must not
 * last: a run with `--wal off` would make all later ones lose what they acknowledge.
 * `ignored`: where that run was and how patient it was; nothing depends on it. */
export type ConfigRule = 'must-match' | 'may-change' | 'ignored';

export const CONFIG_RULES: Readonly<Record<keyof ResolvedOptions, ConfigRule>> = {
  name: 'must-match',
  batchIntervalMs: 'must-match',
  blockIntervalMs: 'may-change',
  executors: 'may-change',
  receiverExecutors: 'may-change',
  checkpointDir: 'ignored',
  mirrorDir: 'may-change',
  allowNetworkFileSystem: 'ignored',
  durability: 'may-change',
  memoryBytes: 'may-change',
  storageLevel: 'may-change',
  maxRate: 'may-change',
  backpressure: 'may-change',
  concurrentBatches: 'may-change',
  catchUp: 'may-change',
  checkpointIntervalMs: 'may-change',
  rememberMs: 'may-change',
  maxTaskFailures: 'may-change',
  gracefulStopTimeoutMs: 'ignored',
  blockBytesMax: 'may-change',
  idempotencyKeysMax: 'may-change',
  receiverSegmentBytes: 'may-change',
  driverSegmentBytes: 'may-change',
  onWalFailure: 'may-change',
  quarantineDir: 'ignored',
};

/** What an author calls a resolved option: `batchInterval` for `batchIntervalMs`. */
export function authorsName(option: keyof ResolvedOptions): keyof PipelineOptions {
  return FIELDS[option].option;
}

/** Where options come from; an `undefined` value counts as not given. */
export interface OptionSources {
  /** Of the command line, or of the call that starts the run. */
  readonly flags?: Partial<PipelineOptions>;
  readonly module: Partial<PipelineOptions>;
  /** The resolved options that the checkpoint holds. */
  readonly checkpoint?: Readonly<Record<string, unknown>>;
  /** In place of the built-in defaults. */
  readonly defaults?: Partial<PipelineOptions>;
}

interface Field {
  readonly option: keyof PipelineOptions;
  readonly flag?: string;
  readonly kind: OptionKind<string | number | boolean | object>;
  /** In words, where the default depends on other things. */
  readonly defaultText?: string;
}

const FIELDS: Readonly<Record<keyof ResolvedOptions, Field>> = {
  name: {
    option: 'name',
    kind: text(
      /^(?!\.+$)[A-Za-z0-9._-]{1,128}$/,
      '1 to 128 letters, digits, dots, dashes and underscores, and more than dots',
    ),
  },
  batchIntervalMs: {
    option: 'batchInterval',
    flag: '--batch-interval',
    kind: duration({ min: 10, max: DAY_MS }),
  },
  blockIntervalMs: {
    option: 'blockInterval',
    flag: '--block-interval',
    kind: duration({ min: 5, max: DAY_MS }),
    defaultText: '200ms, or less where that does not divide the batch interval',
  },
  executors: {
    option: 'executors',
    flag: '--executors',
    kind: integer({ min: 1, max: 256 }),
    defaultText: 'the number of cores',
  },
  receiverExecutors: {
    option: 'receiverExecutors',
    flag: '--receiver-executors',
    kind: integer({ min: 1, max: 64 }),
    defaultText: 'one per input with receivers, at most 4',
  },
  checkpointDir: {
    option: 'checkpointDir',
    flag: '--checkpoint',
    kind: textOrFalse('the path of a directory, or false'),
    defaultText: './.millrace/<name of the pipeline>',
  },
  mirrorDir: {
    option: 'mirrorDir',
    flag: '--mirror',
    kind: textOrFalse('the path of a directory, or false'),
    defaultText: 'none',
  },
  allowNetworkFileSystem: {
    option: 'allowNetworkFileSystem',
    flag: '--allow-network-file-system',
    kind: yesOrNo,
    defaultText: 'refuse them',
  },
  durability: {
    option: 'durability',
    flag: '--wal',
    kind: oneOf(['sync', 'flush', 'off']),
    defaultText: 'sync; off without a checkpoint directory',
  },
  memoryBytes: {
    option: 'memory',
    flag: '--memory',
    kind: byteAmount({ min: 16 * MIB, max: 4 * GIB }),
  },
  storageLevel: {
    option: 'storageLevel',
    flag: '--storage-level',
    kind: oneOf(STORAGE_LEVELS),
    defaultText: 'memory-and-disk; memory for generatorStream',
  },
  maxRate: {
    option: 'maxRate',
    flag: '--max-rate',
    kind: integer({ min: 1, max: RATE_MAX }),
    defaultText: 'no limit',
  },
  backpressure: {
    option: 'backpressure',
    flag: '--backpressure',
    kind: backpressure,
    defaultText: 'off',
  },
  concurrentBatches: {
    option: 'concurrentBatches',
    flag: '--concurrent-batches',
    kind: integer({ min: 1, max: 16 }),
  },
  catchUp: {
    option: 'catchUp',
    flag: '--catch-up',
    kind: oneOf(['coalesce', 'replay']),
  },
  checkpointIntervalMs: {
    option: 'checkpointInterval',
    flag: '--checkpoint-interval',
    kind: duration({ min: 0, max: DAY_MS }),
    defaultText: 'the batch interval',
  },
  rememberMs: {
    option: 'remember',
    flag: '--remember',
    kind: duration({ min: 0, max: 7 * DAY_MS }),
    defaultText: 'as long as some window looks back',
  },
  maxTaskFailures: {
    option: 'maxTaskFailures',
    flag: '--max-task-failures',
    kind: integer({ min: 1, max: 100 }),
  },
  gracefulStopTimeoutMs: {
    option: 'gracefulStopTimeout',
    flag: '--graceful-stop-timeout',
    kind: duration({ min: 0, max: DAY_MS }),
  },
  blockBytesMax: { option: 'blockBytesMax', kind: byteAmount({ min: 4 * KIB, max: 16 * MIB }) },
  idempotencyKeysMax: { option: 'idempotencyKeysMax', kind: integer({ min: 1, max: 10_000_000 }) },
  receiverSegmentBytes: {
    option: 'receiverSegmentBytes',
    flag: '--receiver-segment',
    kind: byteAmount({ min: 64 * KIB, max: GIB }, PAGE_BYTES),
  },
  driverSegmentBytes: {
    option: 'driverSegmentBytes',
    flag: '--driver-segment',
    kind: byteAmount({ min: 64 * KIB, max: GIB }, PAGE_BYTES),
  },
  onWalFailure: {
    option: 'onWalFailure',
    flag: '--on-wal-failure',
    kind: oneOf(['stop', 'quarantine']),
  },
  quarantineDir: {
    option: 'quarantineDir',
    flag: '--quarantine',
    kind: text(/^[^\0]+$/, 'the path of a directory'),
    defaultText: 'none',
  },
};
const FIELD_NAMES = Object.keys(FIELDS) as readonly (keyof ResolvedOptions)[];

const BUILT_IN_DEFAULTS: Partial<PipelineOptions> = {
  batchInterval: 1000,
  mirrorDir: false,
  allowNetworkFileSystem: false,
  durability: 'sync',
  memory: 512 * MIB,
  backpressure: false,
  concurrentBatches: 1,
  catchUp: 'coalesce',
  remember: 0,
  maxTaskFailures: 4,
  gracefulStopTimeout: 60_000,
  idempotencyKeysMax: 100_000,
  receiverSegmentBytes: 64 * MIB,
  driverSegmentBytes: 16 * MIB,
  onWalFailure: 'stop',
};

type SourceName = 'flags' | 'module' | 'checkpoint' | 'defaults';

const SOURCE_ORDER: readonly SourceName[] = ['flags', 'module', 'checkpoint', 'defaults'];

/** What was given for one option, and by whom. */
interface Given {
  readonly source: SourceName;
  readonly value: unknown;
}

/** @throws {MillraceError} OPTIONS_INVALID listing all problems, each with the option's name, the
 *   value, and what is allowed. */
export function resolveOptions(sources: OptionSources): ResolvedOptions {
  const resolution = new Resolution(sources);
  const resolved = resolution.resolve();
  const { problems } = resolution;
  if (problems.length === 0) return Object.freeze(resolved);
  throw new MillraceError(
    'OPTIONS_INVALID',
    problems.length === 1
      ? `wrong option: ${problems[0]}`
      : `${problems.length} wrong options:\n${problems.map((each) => `  - ${each}`).join('\n')}`,
    { details: { problemCount: problems.length } },
  );
}

/** All that is wrong, for a caller that has problems of its own to add. Empty: nothing is. */
export function findOptionProblems(sources: OptionSources): readonly string[] {
  const resolution = new Resolution(sources);
  resolution.resolve();
  return resolution.problems;
}

/** What the command line's help says about one option. */
export interface FlagDescription {
  readonly option: keyof PipelineOptions;
  readonly flag: string;
  /** Allowed values in short; absent where only words tell. */
  readonly range?: string;
  readonly defaultText?: string;
  /** Takes no value: to give it is to say yes. */
  readonly isSwitch: boolean;
}

/** Every option that has a flag, in the order of declaration. */
export function describeFlags(): readonly FlagDescription[] {
  return FIELD_NAMES.flatMap((name) => {
    const { option, flag, kind } = FIELDS[name];
    if (flag === undefined) return [];
    const { range } = kind;
    const defaultText = FIELDS[name].defaultText ?? shownDefault(FIELDS[name]);
    return {
      option,
      flag,
      isSwitch: kind.isSwitch === true,
      ...(range === undefined ? {} : { range }),
      ...(defaultText === undefined ? {} : { defaultText }),
    };
  });
}

function shownDefault({ option, kind }: Field): string | undefined {
  const value = BUILT_IN_DEFAULTS[option];
  if (value === undefined || typeof value === 'object') return undefined;
  return typeof value === 'number' ? (kind.shown ?? String)(value) : String(value);
}

/** Before derived defaults; `undefined` too where a value was wrong. */
type PartlyResolved = { [Name in keyof ResolvedOptions]: ResolvedOptions[Name] | undefined };

class Resolution {
  readonly problems: string[] = [];
  readonly #sources: OptionSources;

  constructor(sources: OptionSources) {
    this.#sources = sources;
  }

  /** Sound only when there are no problems afterwards. */
  resolve(): ResolvedOptions {
    this.#findUnknown();
    // Each field is checked against its kind; only then are they looked at together.
    const values = Object.fromEntries(
      FIELD_NAMES.map((name) => [name, this.#valueOf(name)]),
    ) as PartlyResolved;
    if (this.#given('name') === undefined) {
      this.problems.push('name is missing: every pipeline has one');
    }
    const resolved = complete(values);
    return this.problems.length > 0 ? resolved : this.#checkTogether(resolved);
  }

  #findUnknown(): void {
    const known = new Set<string>(FIELD_NAMES.map((name) => FIELDS[name].option));
    for (const given of [this.#sources.flags, this.#sources.module]) {
      for (const key of Object.keys(given ?? {})) {
        if (known.has(key)) continue;
        this.problems.push(`there is no option ${key} (known are ${[...known].join(', ')})`);
      }
    }
  }

  #given(field: keyof ResolvedOptions): Given | undefined {
    const { flags, module, checkpoint, defaults } = this.#sources;
    const { option } = FIELDS[field];
    const kept = CONFIG_RULES[field] === 'must-match' ? checkpoint?.[field] : undefined;
    const places: readonly Given[] = [
      { source: 'flags', value: flags?.[option] },
      { source: 'module', value: module[option] },
      { source: 'checkpoint', value: kept },
      { source: 'defaults', value: defaults?.[option] ?? BUILT_IN_DEFAULTS[option] },
    ];
    return places.find(({ value }) => value !== undefined);
  }

  #valueOf(field: keyof ResolvedOptions): unknown {
    const given = this.#given(field);
    if (given === undefined) return undefined;
    const { schema, expected } = FIELDS[field].kind;
    const outcome = safeParse(schema, given.value);
    if (outcome.success) return outcome.output;
    this.problems.push(`${this.#shown(field)} must be ${expected}`);
    return undefined;
  }

  /** `batchInterval (--batch-interval) is 0 and`, for the start of a message. */
  #shown(field: keyof ResolvedOptions): string {
    return this.#given(field) === undefined ? this.#said(field) : `${this.#said(field)} and`;
  }

  /** `batchInterval (--batch-interval) is 0` */
  #said(field: keyof ResolvedOptions): string {
    const given = this.#given(field);
    const { option, flag } = FIELDS[field];
    const isFlag = given?.source === 'flags' && flag !== undefined;
    const from = given?.source === 'checkpoint' ? ' (from the checkpoint)' : '';
    const name = isFlag ? `${option} (${flag})` : `${option}${from}`;
    return given === undefined ? name : `${name} is ${inspect(given.value, { depth: 0 })}`;
  }

  #checkTogether(options: ResolvedOptions): ResolvedOptions {
    const { batchIntervalMs, blockIntervalMs, memoryBytes, receiverSegmentBytes } = options;
    if (batchIntervalMs % blockIntervalMs !== 0) {
      const batch = `the batch interval, ${batchIntervalMs} ms`;
      this.problems.push(`${this.#shown('blockIntervalMs')} must divide ${batch}`);
    }
    const limit = blockBytesLimit(memoryBytes, receiverSegmentBytes);
    if (options.blockBytesMax > limit) {
      this.problems.push(
        `${this.#shown('blockBytesMax')} must be at most ${formatBytes(limit)}: a sixteenth of ` +
          `memory (${formatBytes(memoryBytes)}) and an eighth of receiverSegmentBytes ` +
          `(${formatBytes(receiverSegmentBytes)})`,
      );
    }
    const settled = this.#withMirror(this.#withDurability(options));
    this.#checkQuarantine(settled);
    return this.#withQuarantine(settled);
  }

  #checkQuarantine({ onWalFailure, quarantineDir, mirrorDir }: ResolvedOptions): void {
    if (onWalFailure === 'quarantine' && mirrorDir !== false) {
      this.problems.push(
        `${this.#said('onWalFailure')} and ${this.#said('mirrorDir')}, which exclude each ` +
          'other: a log that goes on elsewhere has no second copy',
      );
    }
    if ((onWalFailure === 'quarantine') === (quarantineDir !== undefined)) return;
    this.problems.push(
      quarantineDir === undefined
        ? `${this.#shown('onWalFailure')} needs quarantineDir, a directory on another disk`
        : `${this.#shown('quarantineDir')} is only used when onWalFailure is 'quarantine'`,
    );
  }

  /** Without a directory there is no log. Who says so overrules what a weaker source asked for. */
  #withDurability(options: ResolvedOptions): ResolvedOptions {
    if (options.checkpointDir !== false || options.durability === 'off') return options;
    const isAsked = this.#rank('durability') < SOURCE_ORDER.indexOf('checkpoint');
    if (isAsked && this.#rank('durability') <= this.#rank('checkpointDir')) {
      const need = 'needs a checkpoint directory, and there is none (checkpointDir is false)';
      this.problems.push(`${this.#shown('durability')} ${need}`);
    }
    return { ...options, durability: 'off' };
  }

  /** Without a directory there is nothing to copy. */
  #withMirror(options: ResolvedOptions): ResolvedOptions {
    if (options.checkpointDir !== false || options.mirrorDir === false) return options;
    if (this.#rank('mirrorDir') <= this.#rank('checkpointDir')) {
      const need = 'needs a checkpoint directory, and there is none (checkpointDir is false)';
      this.problems.push(`${this.#shown('mirrorDir')} ${need}`);
    }
    return { ...options, mirrorDir: false };
  }

  /** Without a directory there is no log that could fail. */
  #withQuarantine(options: ResolvedOptions): ResolvedOptions {
    if (options.checkpointDir !== false || options.onWalFailure === 'stop') return options;
    if (this.#rank('onWalFailure') <= this.#rank('checkpointDir')) {
      const need = 'needs a checkpoint directory, and there is none (checkpointDir is false)';
      this.problems.push(`${this.#shown('onWalFailure')} ${need}`);
    }
    return { ...options, onWalFailure: 'stop', quarantineDir: undefined };
  }

  /** Of the source that an option comes from; 0 is the strongest. */
  #rank(field: keyof ResolvedOptions): number {
    return SOURCE_ORDER.indexOf(this.#given(field)?.source ?? 'defaults');
  }
}

/** Fills in what depends on other options. */
function complete(values: PartlyResolved): ResolvedOptions {
  const { name, batchIntervalMs = 0, memoryBytes = 0, receiverSegmentBytes = 0 } = values;
  const blockBytesDefault = Math.min(MIB, blockBytesLimit(memoryBytes, receiverSegmentBytes));
  return {
    ...(values as ResolvedOptions), // the rest has built-in defaults, or may be undefined
    executors: values.executors ?? availableParallelism(),
    blockIntervalMs: values.blockIntervalMs ?? defaultBlockIntervalMs(batchIntervalMs),
    checkpointIntervalMs: values.checkpointIntervalMs ?? batchIntervalMs,
    checkpointDir: values.checkpointDir ?? `./.millrace/${name}`,
    blockBytesMax: values.blockBytesMax ?? blockBytesDefault,
  };
}

/** So that blocks of several receivers fit into memory, and several into one file of the log. */
function blockBytesLimit(memoryBytes: number, receiverSegmentBytes: number): number {
  return Math.floor(Math.min(memoryBytes / 16, receiverSegmentBytes / 8));
}

/** The largest divisor of the batch interval that is at most 200 ms, or the batch interval itself
 * when that would be very short. */
function defaultBlockIntervalMs(batchIntervalMs: number): number {
  for (let ms = BLOCK_INTERVAL_MS; ms >= BLOCK_INTERVAL_MS_WANTED; ms -= 1) {
    if (batchIntervalMs % ms === 0) return ms;
  }
  return batchIntervalMs;
}
