/** The options of inputs: what users give, and what the node of an input carries when it is
 * checked.
 *
 * A node's options are plain data with every default filled in; the driver and the receiver
 * executors start sources from them (`inputOptions`) and from nothing else.
 * @module */
import { assert } from '../core/assert.ts';
import { STORAGE_LEVELS } from '../core/storage-level.ts';
import type { StorageLevel } from '../core/storage-level.ts';
import { roleOf } from './graph.ts';
import type { GraphNode } from './graph.ts';
import { OptionCheck } from './option-check.ts';
import type { OperatorOptions } from './operator-options.ts';

/** Options that every input with receivers has. */
export interface ReceiverInputOptions extends OperatorOptions {
  /** Receivers of this input, 1 … 64, each with blocks of its own. @defaultValue 1 */
  readonly receivers?: number;
  /** Where its blocks wait until their batch has run. @defaultValue that of the pipeline */
  readonly storageLevel?: StorageLevel;
}

export interface HttpTextOptions extends ReceiverInputOptions {
  /** Receiver i listens on port + i; an array names each one's port. 0 is any free port. */
  readonly port: number | readonly number[];
  /** @defaultValue 127.0.0.1 */
  readonly host?: string;
  /** The one path that takes records. @defaultValue / */
  readonly path?: string;
  /** Longer request bodies are refused. @defaultValue 8 MiB */
  readonly maxBodyBytes?: number;
}

export interface GeneratorOptions extends ReceiverInputOptions {
  /** Of the input, spread over its receivers. @defaultValue as fast as the engine takes them */
  readonly recordsPerSecond?: number;
  /** Length of a line without its newline, in ASCII characters. @defaultValue 100 */
  readonly recordBytes?: number;
  /** Records of the input in all, restarts included; then it ends. @defaultValue endless */
  readonly total?: number;
  /** Chooses the lines. @defaultValue 1 */
  readonly seed?: number;
}

// Type aliases, because only they fit a record of plain data without an index signature.
type ReceiverCommon = {
  readonly receivers: number;
  /** As given. */
  readonly storageLevel?: StorageLevel;
};

export type CustomInput = ReceiverCommon & {
  readonly source: 'custom';
  /** The class that the factory's text names, for people to read; absent when it names none. */
  readonly className?: string;
};
export type HttpInput = ReceiverCommon & {
  readonly source: 'http';
  readonly host: string;
  /** One port per receiver. */
  readonly ports: readonly number[];
  readonly path: string;
  readonly maxBodyBytes: number;
};
export type SocketInput = ReceiverCommon & {
  readonly source: 'socket';
  readonly host: string;
  readonly port: number;
};
export type GeneratorInput = ReceiverCommon & {
  readonly source: 'generator';
  readonly recordBytes: number;
  readonly seed: number;
  readonly recordsPerSecond?: number;
  readonly total?: number;
};
export type TextFilesInput = {
  readonly source: 'text-files';
  readonly receivers: 0;
  readonly directory: string;
};
export type QueueInput = {
  readonly source: 'queue';
  readonly receivers: 0;
  readonly batchCount: number;
};

/** What an input node carries, by its source. */
export type InputOptions =
  | CustomInput
  | HttpInput
  | SocketInput
  | GeneratorInput
  | TextFilesInput
  | QueueInput;

const RECEIVERS_MAX = 64;
const PORT_MAX = 65_535;
const HTTP_BODY_BYTES_MAX = 1024 * 1024 * 1024;
const HTTP_BODY_BYTES_DEFAULT = 8 * 1024 * 1024;
const GENERATED_BYTES_MAX = 1024 * 1024;
const COMMON_KEYS = ['id', 'receivers', 'storageLevel'] as const;

/** An id, and options that fit a node. */
export interface CheckedInput<O extends InputOptions> {
  readonly id: string | undefined;
  readonly options: O;
}

/** Where the blocks of an input wait: its own level, else the pipeline's, else what fits its
 * source. A source from outside goes on while a batch is late, as with Spark's receivers, whose
 * default is MEMORY_AND_DISK too. A generator loses nothing by waiting, and would fill the disk. */
export function storageLevelOf(
  node: GraphNode,
  ofPipeline: StorageLevel | undefined,
): StorageLevel {
  const options = inputOptions(node);
  const own = 'storageLevel' in options ? options.storageLevel : undefined;
  const fitting: StorageLevel = options.source === 'generator' ? 'memory' : 'memory-and-disk';
  return own ?? ofPipeline ?? fitting;
}

/** The checked options of an input node. */
export function inputOptions(node: GraphNode): InputOptions {
  assert(roleOf(node.kind) === 'input', `${node.id} is no input`);
  return node.options as InputOptions;
}

export function checkCustom(
  factory: unknown,
  given: ReceiverInputOptions | undefined,
): CheckedInput<CustomInput> {
  const check = new OptionCheck('receiverStream');
  check.syncFunction('the factory', factory);
  const options = check.object(given, COMMON_KEYS);
  const common = receiverCommon(check, options);
  check.finish();
  const className = /\bnew\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(String(factory))?.[1];
  return {
    id: idOf(options),
    options: { source: 'custom', ...common, ...(className === undefined ? {} : { className }) },
  };
}

export function checkHttp(given: HttpTextOptions): CheckedInput<HttpInput> {
  const check = new OptionCheck('httpTextStream');
  const options = check.object(given, [...COMMON_KEYS, 'port', 'host', 'path', 'maxBodyBytes']);
  const { port, host = '127.0.0.1', path = '/', maxBodyBytes = HTTP_BODY_BYTES_DEFAULT } = options;
  const listed = Array.isArray(port) ? (port as readonly unknown[]) : undefined;
  const common = receiverCommon(check, { receivers: listed?.length ?? 1, ...options });
  check.require(
    listed === undefined || listed.length === common.receivers,
    `port lists ${listed?.length} ports for ${common.receivers} receivers`,
  );
  const checked: HttpInput = {
    source: 'http',
    ...common,
    host: check.text('host', host),
    ports: ports(check, listed ?? port, common.receivers),
    path: check.text('path', path),
    maxBodyBytes: check.integer('maxBodyBytes', maxBodyBytes, { min: 1, max: HTTP_BODY_BYTES_MAX }),
  };
  check.require(checked.path.startsWith('/'), 'path must begin with /');
  check.finish();
  return { id: idOf(options), options: checked };
}

export function checkSocket(
  host: string,
  port: number,
  given: ReceiverInputOptions | undefined,
): CheckedInput<SocketInput> {
  const check = new OptionCheck('socketTextStream');
  const options = check.object(given, COMMON_KEYS);
  const checked: SocketInput = {
    source: 'socket',
    ...receiverCommon(check, options),
    host: check.text('host', host),
    port: check.integer('port', port, { min: 1, max: PORT_MAX }),
  };
  check.finish();
  return { id: idOf(options), options: checked };
}

export function checkGenerator(given: GeneratorOptions | undefined): CheckedInput<GeneratorInput> {
  const check = new OptionCheck('generatorStream');
  const own = ['recordsPerSecond', 'recordBytes', 'total', 'seed'];
  const options = check.object(given, [...COMMON_KEYS, ...own]);
  const { recordsPerSecond, recordBytes = 100, total, seed = 1 } = options;
  const safe = Number.MAX_SAFE_INTEGER;
  const checked: GeneratorInput = {
    source: 'generator',
    ...receiverCommon(check, options),
    // The shortest word has two characters, and every length from two on can be made of words.
    recordBytes: check.integer('recordBytes', recordBytes, { min: 2, max: GENERATED_BYTES_MAX }),
    seed: check.integer('seed', seed, { min: -safe, max: safe }),
    ...(recordsPerSecond === undefined
      ? {}
      : { recordsPerSecond: rate(check, 'recordsPerSecond', recordsPerSecond) }),
    ...(total === undefined ? {} : { total: check.integer('total', total, { min: 0, max: safe }) }),
  };
  check.finish();
  return { id: idOf(options), options: checked };
}

export function checkTextFiles(
  directory: string,
  given: OperatorOptions | undefined,
): CheckedInput<TextFilesInput> {
  const check = new OptionCheck('textFileStream');
  const options = check.object(given, ['id']);
  check.text('the directory', directory);
  check.finish();
  return { id: idOf(options), options: { source: 'text-files', receivers: 0, directory } };
}

export function checkQueue(
  batches: unknown,
  given: OperatorOptions | undefined,
): CheckedInput<QueueInput> {
  const check = new OptionCheck('queueStream');
  const options = check.object(given, ['id']);
  const isSound = Array.isArray(batches) && batches.every((batch) => Array.isArray(batch));
  check.require(isSound, 'the batches must be an array with an array of records for each batch');
  check.finish();
  const batchCount = (batches as readonly unknown[]).length;
  return { id: idOf(options), options: { source: 'queue', receivers: 0, batchCount } };
}

function idOf(options: Readonly<Record<string, unknown>>): string | undefined {
  return options['id'] as string | undefined;
}

function receiverCommon(
  check: OptionCheck,
  { receivers = 1, storageLevel }: Readonly<Record<string, unknown>>,
): ReceiverCommon {
  const level = STORAGE_LEVELS.find((each) => each === storageLevel);
  check.require(
    level === storageLevel,
    `storageLevel must be one of ${STORAGE_LEVELS.join(', ')}, not ${String(storageLevel)}`,
  );
  return {
    receivers: check.integer('receivers', receivers, { min: 1, max: RECEIVERS_MAX }),
    ...(level === undefined ? {} : { storageLevel: level }),
  };
}

function rate(check: OptionCheck, name: string, value: unknown): number {
  const isSound = typeof value === 'number' && Number.isFinite(value) && value > 0;
  check.require(isSound, `${name} must be a number above 0, not ${String(value)}`);
  return value as number;
}

/** One port per receiver; any free port (0) is that for all of them. */
function ports(check: OptionCheck, given: unknown, receivers: number): readonly number[] {
  const bounds = { min: 0, max: PORT_MAX };
  if (Array.isArray(given)) {
    return given.map((port, index) => check.integer(`port ${index}`, port, bounds));
  }
  const first = check.integer('port', given, bounds);
  const last = first + receivers - 1;
  check.require(!(last > PORT_MAX), `receiver ${receivers - 1} would listen on port ${last}`);
  return Array.from({ length: receivers }, (_, index) => (first === 0 ? 0 : first + index));
}
