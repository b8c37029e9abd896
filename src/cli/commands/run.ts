/** `millrace run`: from a call to an exit code. Knows the order of things, not how they are told.
 *
 * The process's signals, its uncaught errors and its standard output belong to this command while
 * it runs. Everything that it opened is closed when it returns. @module */
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import type { EngineEvent } from '../../core/events.ts';
import type { ResolvedOptions } from '../../core/options.ts';
import { StreamingContext } from '../../driver/stream-context.ts';
import { dataLines } from '../data-lines.ts';
import { exitCodeOf, formatError } from '../error-report.ts';
import type { CliIo } from '../io.ts';
import { WRONG_USE_EXIT_CODE } from '../program.ts';
import type { RunCall } from '../program.ts';
import { ProgressMeter } from '../progress.ts';
import { readRunFlags } from '../run-flags.ts';
import type { RunFlags } from '../run-flags.ts';
import { startNotice } from '../run-notices.ts';
import { STOP_SIGNALS, StopRequest } from '../stop-request.ts';
import { openTalk } from '../open-talk.ts';
import type { Talk } from '../talk.ts';
import { wrongUse } from '../wrong-use.ts';

export interface RunSurroundings {
  readonly io: CliIo;
  /** All arguments as they were typed, `run` among them. */
  readonly argv: readonly string[];
  /** Registers what to do when nobody reads standard output any more. */
  readonly whenOutCloses: (callback: () => void) => void;
}

/** @returns the exit code. @throws {MillraceError} for wrong use, before anything was started. */
export async function run(call: RunCall, surroundings: RunSurroundings): Promise<number> {
  const flags = readRunFlags(call.given);
  const pipeline = await checkedPipeline(call, flags);
  if (call.given['supervise'] === true) {
    const { supervise } = await import('../supervise.ts');
    const talk = await openTalk(surroundings.io, talkOptions(flags));
    return supervise(surroundings.argv, { talk, clock: systemClock });
  }
  const isSupervised = call.given['supervised'] === true;
  return new RunSession({ pipeline, flags, isSupervised, surroundings }).run();
}

/** The one operand. @throws {MillraceError} OPTIONS_INVALID with all that is wrong. */
async function checkedPipeline(call: RunCall, flags: RunFlags): Promise<string> {
  const unknown = call.operands.filter((operand) => operand.startsWith('-'));
  const [pipeline, ...excess] = call.operands.filter((operand) => !operand.startsWith('-'));
  const known = unknown.map((flag) => `there is no flag ${flag}; see millrace run --help`);
  if (pipeline === undefined) known.push('PIPELINE is missing: the path of a module');
  // A value of an unknown flag looks like one more operand.
  if (unknown.length === 0 && excess.length > 0) {
    known.push(`only one PIPELINE can be run, and ${excess.join(' ')} is given too`);
  }
  if (pipeline !== undefined && known.length + flags.problems.length === 0) return pipeline;
  const isClear = unknown.length === 0 || excess.length === 0;
  throw await wrongUse(flags, { pipeline: isClear ? pipeline : undefined, known });
}

interface SessionInput {
  readonly pipeline: string;
  readonly flags: RunFlags;
  readonly isSupervised: boolean;
  readonly surroundings: RunSurroundings;
}

class RunSession {
  readonly #input: SessionInput;
  readonly #stop: StopRequest;
  #talk: Talk | undefined;
  #options: ResolvedOptions | undefined;
  #meter: ProgressMeter | undefined;

  constructor(input: SessionInput) {
    this.#input = input;
    this.#stop = new StopRequest({
      onFirst: (reason) =>
        this.#talk?.notice('info', `${reason}: stopping gracefully${HOW_TO_END}`),
      onSecond: (exitCode) => this.#endNow(exitCode),
      isSupervised: () => input.isSupervised && process.connected,
    });
  }

  async run(): Promise<number> {
    const { flags, surroundings } = this.#input;
    const talk = await openTalk(surroundings.io, talkOptions(flags));
    this.#talk = talk;
    const release = this.#holdProcess(talk);
    try {
      await this.#runContext(talk);
      return 0;
    } catch (error) {
      const failure = await this.#withAllProblems(error);
      if (isWrongUse(failure)) {
        const text = formatError(failure, { isDebug: flags.logLevel === 'debug' });
        surroundings.io.err(`millrace: ${text}\n`);
      } else talk.failure(failure);
      return exitCodeOf(failure);
    } finally {
      this.#meter?.stop();
      talk.close();
      release();
    }
  }

  async #runContext(talk: Talk): Promise<void> {
    const { pipeline, flags, surroundings } = this.#input;
    const context = await StreamingContext.getOrCreate(flags.checkpointDir, pipeline, {
      ...flags.options,
      ...(flags.batches === undefined ? {} : { batches: flags.batches }),
      dropState: flags.dropState,
      printLine: dataLines((text) => {
        talk.beforeData();
        surroundings.io.out(text);
      }),
      onEvent: (event) => this.#hear(event, talk),
    });
    this.#options = context.options;
    const { batchIntervalMs } = context.options;
    const notice = startNotice(context.options);
    if (notice !== undefined) talk.notice('warn', notice);
    try {
      if (this.#stop.isMade) return;
      const onProgress = talk.progress.bind(talk);
      this.#meter = new ProgressMeter({ clock: systemClock, batchIntervalMs, onProgress });
      await context.start();
      this.#meter.start(context);
      void this.#stop.made.then(() => context.stop());
      await context.awaitTermination();
    } finally {
      await context.stop({ graceful: false });
    }
  }

  #hear(event: EngineEvent, talk: Talk): void {
    // Who asked for the stop has been told already, with the reason.
    if (event.type !== 'engine-stopping' || !this.#stop.isMade) talk.event(event);
    this.#meter?.hear(event);
    // The supervisor wants to know whether starting again makes sense.
    if (event.type === 'batch-completed' && this.#input.isSupervised && process.connected) {
      process.send?.({ type: 'batch-completed' }, undefined, undefined, ignoreGone);
    }
  }

  /** Signals, errors that nobody caught, closed output, a supervisor that goes. */
  #holdProcess(talk: Talk): () => void {
    const onSignal = (name: NodeJS.Signals): void => {
      for (const known of STOP_SIGNALS) if (known === name) this.#stop.signal(known);
    };
    const onUncaught = (error: unknown): void => {
      talk.failure(error);
      process.exit(exitCodeOf(error));
    };
    const onDisconnect = (): void => {
      if (this.#input.isSupervised) this.#stop.make('the supervisor is gone');
    };
    for (const name of STOP_SIGNALS) process.on(name, onSignal);
    process.on('uncaughtException', onUncaught).on('disconnect', onDisconnect);
    this.#input.surroundings.whenOutCloses(() => this.#stop.make('standard output was closed'));
    return () => {
      for (const name of STOP_SIGNALS) process.off(name, onSignal);
      process.off('uncaughtException', onUncaught).off('disconnect', onDisconnect);
    };
  }

  #endNow(exitCode: number): never {
    this.#talk?.notice('warn', `stopped at once; ${keptText(this.#options)}`);
    this.#talk?.close();
    process.exit(exitCode);
  }

  /** The engine tells the problems of one place; a call may have some in several. */
  async #withAllProblems(error: unknown): Promise<unknown> {
    const { flags, pipeline } = this.#input;
    const isIncomplete =
      error instanceof MillraceError &&
      (error.code === 'OPTIONS_INVALID' || error.code === 'PIPELINE_INVALID');
    if (!isIncomplete) return error;
    const all = await wrongUse(flags, { pipeline, known: [] });
    return all.details['problemCount'] === 0 ? error : all;
  }
}

/** A supervisor that is gone is noticed by the closed channel. */
const ignoreGone = (): void => undefined;
const HOW_TO_END = '; once more to stop at once';

function talkOptions({ logLevel, isJson }: RunFlags) {
  return { level: logLevel, isJson };
}

/** Told in plain text also where lines are JSON: a person has to read it, and nothing has run. */
function isWrongUse(error: unknown): boolean {
  return exitCodeOf(error) === WRONG_USE_EXIT_CODE;
}

/** What an end without the graceful stop leaves. */
function keptText(options: ResolvedOptions | undefined): string {
  if (options === undefined) return 'nothing had been received';
  switch (options.durability) {
    case 'sync':
      return 'nothing acknowledged is lost: the next start goes on with it';
    case 'flush':
      return 'nothing acknowledged is lost unless the machine fails too';
    case 'off':
      return 'what was not processed yet is lost: the log is off';
    default:
      return options.durability satisfies never;
  }
}
