/** All deliberate breaks, in the order in which they run. @module */
import { BENCH_BREAKS } from './breaks/bench.ts';
import { BENCHMARKS_BREAKS } from './breaks/benchmarks.ts';
import { CRASH_KIT_BREAKS } from './breaks/crash-kit.ts';
import { DEDUPE_BREAKS } from './breaks/dedupe.ts';
import { DISK_THREAD_BREAKS } from './breaks/disk-thread.ts';
import { EMPTY_BATCH_BREAKS } from './breaks/empty-batches.ts';
import { ENGINE_SIMULATION_BREAKS } from './breaks/engine-simulation.ts';
import { ENGINE_BREAKS } from './breaks/engine.ts';
import { FAULTS_BREAKS } from './breaks/faults.ts';
import { FLOW_CONTROL_BREAKS } from './breaks/flow-control.ts';
import { FULL_DISK_BREAKS } from './breaks/full-disks.ts';
import { HARMED_LOGS_BREAKS } from './breaks/harmed-logs.ts';
import { LIFE_CYCLE_BREAKS } from './breaks/life-cycle.ts';
import { LOG_EDGE_BREAKS } from './breaks/log-edges.ts';
import { LOG_BREAKS } from './breaks/log.ts';
import { PEERS_BREAKS } from './breaks/peers.ts';
import { SIMULATED_DISK_BREAKS } from './breaks/simulated-disk.ts';
import { TWO_COPIES_BREAKS } from './breaks/two-copies.ts';
import { INVERSE_WINDOW_BREAKS } from './breaks/inverse-windows.ts';
import { SLICE_BREAKS } from './breaks/slice.ts';
import { POSTGRES_BREAKS } from './breaks/postgres.ts';
import { SINK_BREAKS } from './breaks/sinks.ts';
import { START_UP_BREAKS } from './breaks/start-up.ts';
import { STATE_BREAKS } from './breaks/state.ts';
import { TOUCHED_KEY_BREAKS } from './breaks/touched-keys.ts';
import { STORAGE_LEVEL_BREAKS } from './breaks/storage-levels.ts';
import { TESTING_BREAKS } from './breaks/testing.ts';
import { TOOL_BREAKS } from './breaks/tools.ts';
import { TUNE_BREAKS } from './breaks/tune.ts';
import { TUNE_SAMPLE_BREAKS } from './breaks/tune-samples.ts';
import { UPGRADE_BREAKS } from './breaks/upgrades.ts';
import { WINDOW_BREAKS } from './breaks/windows.ts';
import type { Break } from './breaks/break.ts';

export const BREAKS: readonly Break[] = [
  ...LOG_BREAKS,
  ...ENGINE_BREAKS,
  ...DISK_THREAD_BREAKS,
  ...HARMED_LOGS_BREAKS,
  ...SIMULATED_DISK_BREAKS,
  ...FAULTS_BREAKS,
  ...FULL_DISK_BREAKS,
  ...TWO_COPIES_BREAKS,
  ...STORAGE_LEVEL_BREAKS,
  ...LOG_EDGE_BREAKS,
  ...TOOL_BREAKS,
  ...TESTING_BREAKS,
  ...WINDOW_BREAKS,
  ...ENGINE_SIMULATION_BREAKS,
  ...BENCH_BREAKS,
  ...BENCHMARKS_BREAKS,
  ...STATE_BREAKS,
  ...INVERSE_WINDOW_BREAKS,
  ...LIFE_CYCLE_BREAKS,
  ...START_UP_BREAKS,
  ...FLOW_CONTROL_BREAKS,
  ...SINK_BREAKS,
  ...POSTGRES_BREAKS,
  ...PEERS_BREAKS,
  ...TOUCHED_KEY_BREAKS,
  ...UPGRADE_BREAKS,
  ...SLICE_BREAKS,
  ...DEDUPE_BREAKS,
  ...CRASH_KIT_BREAKS,
  ...TUNE_BREAKS,
  ...TUNE_SAMPLE_BREAKS,
  ...EMPTY_BATCH_BREAKS,
];
