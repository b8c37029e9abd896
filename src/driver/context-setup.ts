/** Everything between a compiled pipeline and an engine that can be started: graph, options,
 * threads, checkpoint directory. Loaded only where a pipeline is run, not where one is only
 * defined: with its dependencies it takes five times as long to import as the rest of the package.
 * @module */
import { resolve } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import { resolveOptions } from '../core/options.ts';
import type { OptionSources, ResolvedOptions } from '../core/options.ts';
import type { Graph } from '../dstream/graph.ts';
import { loadPipeline } from '../dstream/load-pipeline.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Disk, OpenedDisk } from '../wal/disk.ts';
import { DiskThread } from '../wal/disk-thread.ts';
import type { Copy } from '../wal/mirrored-disk.ts';
import type { Shortage } from '../wal/shortage.ts';
import { nodeDisk } from '../wal/node-disk.ts';
import { EarlyThreads } from './early-threads.ts';
import { Engine } from './engine.ts';
import { requireFit } from './graph-fit.ts';
import { openHome } from './home-directory.ts';
import type { Home } from './home-directory.ts';
import type { KeyedState } from './keyed-state.ts';
import type { PipelineBundle } from './pipeline-bundle.ts';
import { acceptCheckpoint } from './restart-rules.ts';
import type { InternalOptions, RunOptions } from './run-options.ts';
import { recoverState } from './state-parts.ts';
import { keptState } from './state-upgrade.ts';
import type { StateChange } from './state-upgrade.ts';

/** A run that is ready to be started, or stopped without having been. */
export interface PreparedRun {
  readonly engine: Engine;
  readonly graph: Graph;
  readonly events: EventBus;
  readonly options: ResolvedOptions;
  readonly home: Home | undefined;
  readonly clock: Clock;
  readonly startedMs: number;
}

/** What a run is made of. */
export interface RunSetup {
  readonly checkpointDir: string | false | undefined;
  /** Of the pipeline, absolute. */
  readonly path: string;
  /** Of the pipeline. */
  readonly bundle: PipelineBundle;
  /** As they were given, and checked. */
  readonly given: RunOptions & InternalOptions;
  readonly clock: Clock;
  readonly startedMs: number;
}

/** Takes the lock of the checkpoint directory and recovers it. */
export async function setUpRun(setup: RunSetup): Promise<PreparedRun> {
  const { checkpointDir, path, bundle, clock, startedMs } = setup;
  const {
    clock: _clock,
    signal: _signal,
    allowOtherContexts: _allowOtherContexts,
    batches,
    printLine,
    onEvent,
    crash,
    disk: givenDisk,
    dropState = [],
    ...flags
  } = setup.given;
  // Stack traces of the user's code point to the user's file; threads get it as a flag.
  process.setSourceMapsEnabled(true);
  const { definition, graph } = await loadPipeline(bundle.moduleUrl, path);
  const directory = checkpointDir === undefined ? {} : { checkpointDir };
  const sources = { flags: { ...flags, ...directory }, module: definition.options };
  const events = new EventBus();
  if (onEvent !== undefined) events.subscribe(onEvent);
  let engine: Engine | undefined = undefined;
  let home: Home | undefined;
  const restored: { state?: KeyedState } = {};
  const options = resolveOptions(sources);
  const disks = openDisks(givenDisk, options);
  const { disk } = disks;
  let threads: EarlyThreads | undefined;
  try {
    threads = new EarlyThreads({ graph, module: bundle, options, events, crash: crash?.tasks });
    const { tasks, receivers } = threads;
    home = await openHomeOf(sources, graph, {
      dropState,
      codeHash: bundle.codeHash,
      disk,
      mirrorDisk: disks.mirrorDisk,
      clock,
      events,
      onPoison: (error) => engine?.fail(error),
      onShortage: (shortage) => engine?.noteDriverShortage(shortage),
      onState: (state) => (restored.state = state),
    });
    const resolved = home?.options ?? options;
    engine = new Engine({
      graph,
      module: bundle,
      options: resolved,
      ...(home === undefined ? {} : { home, state: restored.state }),
      disk,
      closeRest: async () => {
        await Promise.all([receivers.close(), disks.close()]);
      },
      clock,
      events,
      tasks,
      spawn: receivers.spawn,
      printLine: printLine ?? ((line) => void process.stdout.write(`${line}\n`)),
      ...(batches === undefined ? {} : { batchesMax: batches }),
      crash: crash?.receivers,
    });
    return { engine, graph, events, options: resolved, home, clock, startedMs };
  } catch (error) {
    await giveBack(home, disks, threads);
    throw error;
  }
}

/** Of a start that has failed. */
async function giveBack(
  home: Home | undefined,
  disks: OpenedDisks,
  threads: EarlyThreads | undefined,
): Promise<void> {
  try {
    await home?.driverLog.close();
    await home?.lock.release();
  } finally {
    await Promise.all([threads?.close(), disks.close()]);
  }
}

interface OpenedDisks extends OpenedDisk {
  /** For the second place, if there is one. */
  readonly mirrorDisk: Disk;
}

/** One for each place; both are the given one, if there is one. */
function openDisks(
  given: Disk | undefined,
  { checkpointDir, mirrorDir }: ResolvedOptions,
): OpenedDisks {
  const first = openDisk(given, checkpointDir, 'the driver');
  const second = openDisk(given, mirrorDir, 'the second copy');
  const close = async (): Promise<void> => {
    await Promise.all([first.close(), second.close()]);
  };
  return { disk: first.disk, mirrorDisk: second.disk, close };
}

/** A thread of its own for each directory that acknowledgements will wait for; else there is only
 * scratch to be written. */
function openDisk(given: Disk | undefined, directory: string | false, name: string): OpenedDisk {
  if (given !== undefined || directory === false) {
    return { disk: given ?? nodeDisk, close: () => Promise.resolve() };
  }
  const thread = new DiskThread(name);
  return { disk: thread.disk, close: () => thread.close() };
}

interface HomeServices {
  /** Operators whose state may be given up. */
  readonly dropState: readonly string[];
  /** Of the bundled module. */
  readonly codeHash: string;
  readonly disk: Disk;
  /** For the second place, if there is one. */
  readonly mirrorDisk: Disk;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly onPoison: (error: Error) => void;
  readonly onShortage: (shortage: Shortage | undefined) => void;
  /** The keyed state to go on with. */
  readonly onState: (state: KeyedState) => void;
}

/** The checkpoint directory of a run, or none. */
function openHomeOf(
  sources: OptionSources,
  graph: Graph,
  services: HomeServices,
): Promise<Home | undefined> {
  const { disk, mirrorDisk, clock, events, onPoison, onShortage, onState } = services;
  const options = resolveOptions(sources);
  const { checkpointDir } = options;
  if (checkpointDir === false) {
    requireFit(graph, options);
    return Promise.resolve(undefined);
  }
  const directory = resolve(checkpointDir);
  let states: readonly StateChange[] = [];
  return openHome({
    disk,
    clock,
    codec: msgpackCodec,
    events,
    directory,
    ...mirrorOf(directory, options, mirrorDisk),
    options,
    accept: (checkpoint) => {
      if (checkpoint === undefined) {
        requireFit(graph, options);
        return options;
      }
      const settled = resolveOptions({ ...sources, checkpoint: checkpoint.config });
      requireFit(graph, settled);
      const warn = (message: string): void => events.emit({ type: 'warning', message });
      const { codeHash, dropState } = services;
      const target = { options: settled, graph: graph.nodes, codeHash, dropState };
      ({ states } = acceptCheckpoint(checkpoint, { directory, ...target, warn }));
      return settled;
    },
    restore: async (pointer, from) => {
      const kept = keptState(pointer, states);
      const partitions = from.options.executors;
      onState(await recoverState(graph, kept, { disk: from.disk, directory, partitions }));
      return kept;
    },
    onPoison,
    onShortage,
  });
}

/** The second place, if there is one. */
function mirrorOf(
  directory: string,
  { mirrorDir }: ResolvedOptions,
  disk: Disk,
): { readonly mirror?: Copy } {
  if (mirrorDir === false) return {};
  const mirror = { disk, directory: resolve(mirrorDir) };
  const [one, other] = [`${directory}/`, `${mirror.directory}/`];
  if (!one.startsWith(other) && !other.startsWith(one)) return { mirror };
  throw new MillraceError(
    'OPTIONS_INVALID',
    `mirrorDir (${mirror.directory}) and checkpointDir (${directory}) must lie side by ` +
      'side, each on a disk of its own: give mirrorDir another directory',
  );
}
