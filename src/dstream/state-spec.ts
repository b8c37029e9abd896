/** What users say about keyed state: the functions, the specification of `mapWithState`, its
 * options. The stream methods are in dstream.ts, what runs is workers/state-update.ts.
 * @module */
import { parseDuration } from '../core/duration.ts';
import type { Duration } from '../core/duration.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { NodeDescription, NodeOptions, UserFunction } from './graph.ts';
import { OptionCheck } from './option-check.ts';
import { PARTITIONS_MAX } from './operator-options.ts';
import type { OperatorOptions, ShuffleOptions, SyncResult } from './operator-options.ts';

/** The state of one key, in one call of a `mapWithState` function; worth nothing after it. */
export interface State<S> {
  /** False for a key that has none yet, and after `remove`. */
  exists(): boolean;
  /** A copy that is the function's own: give it to `update` for a change to last.
   * @throws {MillraceError} CONTEXT_STATE when there is none. */
  get(): S;
  /** As `get`; `undefined` when there is none. */
  getOption(): S | undefined;
  /** @throws {MillraceError} CONTEXT_STATE after `remove` in this call, or when the state is timing
   *   out. */
  update(state: S): void;
  /** @throws {MillraceError} CONTEXT_STATE when it was removed in this call, or is timing out. */
  remove(): void;
  /** True in the one call for a key that was idle for too long; its value is `undefined`, and its
   * state goes after the call. */
  isTimingOut(): boolean;
}

/** What it returns is one record of the stream; `undefined`: none. */
export type StateFunction<K, V, S, M> = (
  key: K,
  value: V | undefined,
  state: State<S>,
) => SyncResult<M>;

export interface KeyedStateOptions<K, S> extends ShuffleOptions {
  /** State that keys have before the first batch; ignored when a checkpoint has state. */
  readonly initialState?: Iterable<readonly [K, S]>;
  /** Of the shape of the states, 1 … 1,000,000: raise it when a change of the function needs them
   * in another one, and give `migrate`. @defaultValue 1 */
  readonly version?: number;
  /** Makes the state of a key out of one of a lower version, `undefined` drops the key. Called for
   * each key at a start that finds such states, before anything is received or written; a start
   * that is killed leaves the old ones. A method, so that `old` may be given its own type.
   * @param fromVersion 1 where the earlier pipeline named none. */
  migrate?(old: unknown, fromVersion: number): SyncResult<S> | undefined;
}

export interface MapWithStateOptions<K, S> extends KeyedStateOptions<K, S> {
  /** How long a key may go without a record. It times out in the first batch whose time is later
   * than that after the batch of its last record. @defaultValue never */
  readonly timeout?: Duration;
}

/** A function for `mapWithState` with its options, in Spark's way of saying it: each method gives a
 * new specification. Made by `stateSpec`. */
export class StateSpec<K, V, S, M> {
  readonly f: StateFunction<K, V, S, M>;
  readonly options: MapWithStateOptions<K, S>;

  constructor(f: StateFunction<K, V, S, M>, options: MapWithStateOptions<K, S>) {
    this.f = f;
    this.options = options;
  }

  /** State that keys have before the first batch. */
  initialState(pairs: Iterable<readonly [K, S]>): StateSpec<K, V, S, M> {
    return this.#with({ initialState: pairs });
  }

  /** How long a key may go without a record. */
  timeout(duration: Duration): StateSpec<K, V, S, M> {
    return this.#with({ timeout: duration });
  }

  /** Into how many partitions the keys are spread. */
  partitions(count: number): StateSpec<K, V, S, M> {
    return this.#with({ partitions: count });
  }

  /** Name of the operator, which its state on disk belongs to. */
  id(id: string): StateSpec<K, V, S, M> {
    return this.#with({ id });
  }

  /** Version of the shape of the states, and what makes it of earlier ones. */
  version(version: number, migrate?: KeyedStateOptions<K, S>['migrate']): StateSpec<K, V, S, M> {
    return this.#with({ version, ...(migrate === undefined ? {} : { migrate }) });
  }

  #with(more: MapWithStateOptions<K, S>): StateSpec<K, V, S, M> {
    return new StateSpec(this.f, { ...this.options, ...more });
  }
}

/** A specification for `mapWithState`: `stateSpec(f).timeout(minutes(5))`. */
export function stateSpec<K, V, S, M>(f: StateFunction<K, V, S, M>): StateSpec<K, V, S, M> {
  return new StateSpec(f, {});
}

/** What `mapWithState` was given, as one specification: of an option that both name, the call's
 * own counts.
 * @throws {MillraceError} OPTIONS_INVALID. */
function specOf<K, V, S, M>(
  given: StateSpec<K, V, S, M> | StateFunction<K, V, S, M>,
  options: MapWithStateOptions<K, S> | undefined,
): StateSpec<K, V, S, M> {
  if (!(given instanceof StateSpec)) return new StateSpec(given, options ?? {});
  const check = new OptionCheck('mapWithState');
  const more = check.object(options, MAP_WITH_STATE_OPTIONS);
  check.finish();
  return new StateSpec(given.f, { ...given.options, ...more });
}

/** What a stateful operator is made of, checked. */
export interface CheckedState {
  readonly id: string | undefined;
  readonly options: NodeOptions;
  readonly fn: UserFunction;
  readonly fns?: Readonly<Record<'migrate', UserFunction>>;
  readonly initialState: readonly (readonly [unknown, unknown])[];
}

const STATE_OPTIONS = ['id', 'initialState', 'partitions', 'version', 'migrate'];
const MAP_WITH_STATE_OPTIONS = [...STATE_OPTIONS, 'timeout'];

const VERSION_MAX = 1_000_000;

const DAY_MS = 86_400_000;
const TIMEOUT_MS_MAX = 3_650 * DAY_MS;

/** @throws {MillraceError} OPTIONS_INVALID. */
export function checkState(
  kind: 'updateStateByKey' | 'mapWithState',
  fn: unknown,
  given: OperatorOptions | undefined,
): CheckedState {
  const check = new OptionCheck(kind);
  const known = kind === 'mapWithState' ? MAP_WITH_STATE_OPTIONS : STATE_OPTIONS;
  const options = check.object(given, known);
  const { id, initialState, partitions, timeout, version, migrate } = options;
  check.syncFunction('the function', fn);
  const kept: { partitions?: number; timeoutMs?: number; version?: number } = {};
  if (partitions !== undefined) {
    kept.partitions = check.integer('partitions', partitions, { min: 1, max: PARTITIONS_MAX });
  }
  if (timeout !== undefined) kept.timeoutMs = checkTimeout(check, 'timeout', timeout);
  if (version !== undefined) {
    kept.version = check.integer('version', version, { min: 1, max: VERSION_MAX });
  }
  if (migrate !== undefined) checkMigration(check, migrate, version);
  const pairs = checkPairs(check, initialState);
  check.finish();
  return {
    id: id as string | undefined,
    options: kept,
    fn: fn as UserFunction,
    ...(migrate === undefined ? {} : { fns: { migrate: migrate as UserFunction } }),
    initialState: pairs,
  };
}

/** Of both ways to call `mapWithState`. @throws {MillraceError} OPTIONS_INVALID. */
export function checkMapping<K, V, S, M>(
  given: StateSpec<K, V, S, M> | StateFunction<K, V, S, M>,
  options: MapWithStateOptions<K, S> | undefined,
): CheckedState {
  const spec = specOf(given, options);
  return checkState('mapWithState', spec.f, spec.options);
}

function checkMigration(check: OptionCheck, migrate: unknown, version: unknown): void {
  check.syncFunction('migrate', migrate);
  check.require(
    version !== undefined && version !== 1,
    'migrate needs version: 2 or higher, the one that it makes; state without one is of version 1',
  );
}

/** Which version of its states an operator goes by. */
export function stateVersionOf({ options }: NodeDescription): number {
  const { version } = options;
  return typeof version === 'number' ? version : 1;
}

/** How long keys are kept, in ms. @param name of the option. */
export function checkTimeout(check: OptionCheck, name: string, timeout: unknown): number {
  let timeoutMs: unknown;
  try {
    timeoutMs = parseDuration(timeout as Duration);
  } catch (error) {
    check.require(false, `${name}: ${toError(error).message}`);
    return 0;
  }
  return check.integer(`${name} (in ms)`, timeoutMs, { min: 1, max: TIMEOUT_MS_MAX });
}

function checkPairs(check: OptionCheck, given: unknown): CheckedState['initialState'] {
  if (given === undefined) return [];
  const isIterable = typeof given === 'object' && given !== null && Symbol.iterator in given;
  check.require(isIterable, 'initialState must be pairs: an array of [key, state], or a Map');
  if (!isIterable) return [];
  const pairs = [...(given as Iterable<unknown>)];
  const isSound = pairs.every((pair) => Array.isArray(pair) && pair.length === 2);
  check.require(isSound, 'initialState must be pairs: each one [key, state]');
  return pairs as CheckedState['initialState'];
}

/** For what a function does with a state that does not allow it. */
export function stateMisuse(message: string): MillraceError {
  return new MillraceError('CONTEXT_STATE', message);
}
