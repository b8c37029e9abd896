/** What an acknowledgement is worth on a disk, in words, from what was found out about it. Pure.
 * @module */
import type { FileSystemKind } from '../../wal/file-system.ts';
import type { BlockDevice, Mount } from './mount.ts';
import type { SyncTiming } from './sync-probe.ts';

export interface DiskFacts {
  readonly kind: FileSystemKind;
  readonly mount: Mount | undefined;
  readonly device: BlockDevice | undefined;
  readonly freeBytes: number;
  readonly supportsDirect: boolean;
  readonly timings: readonly SyncTiming[];
  /** Of a receiver log. */
  readonly segmentBytes: number;
}

export interface Diagnosis {
  /** What survives what. */
  readonly promise: string;
  readonly warnings: readonly string[];
  readonly advice: readonly string[];
}

const SLOW_SYNC_MS = 10;
const LONG_SYNC_MS = 2;
const UNSAFE_OPTIONS: ReadonlySet<string> = new Set(['nobarrier', 'barrier=0', 'nobarriers']);

export function diagnose(facts: DiskFacts): Diagnosis {
  return {
    promise: promiseOf(facts),
    warnings: [...mountWarnings(facts), ...roomWarnings(facts), ...speedWarnings(facts)],
    advice: adviceFor(facts),
  };
}

function promiseOf({ kind, mount, device }: DiskFacts): string {
  if (kind === 'memory') {
    return 'It survives the process. Nothing here survives a reboot: the file system is memory.';
  }
  if (kind === 'network') {
    return (
      'Not known: what a sync means is decided on another machine. Do not keep a checkpoint ' +
      'directory here.'
    );
  }
  if (mount?.options.some((option) => UNSAFE_OPTIONS.has(option)) === true) {
    return 'It survives the process and the system. A power cut may take it: flushes are off.';
  }
  const survives = 'With durability sync it survives the process, the system and a power cut';
  switch (device?.writeCache) {
    case 'write back':
      return `${survives}, if the device honours the flush that each sync sends to its cache.`;
    case 'write through':
      return `${survives}: the device reports no volatile cache.`;
    default:
      return `${survives}, if the device under it, which cannot be seen from here, does its part.`;
  }
}

function mountWarnings({ kind, mount }: DiskFacts): string[] {
  const warnings: string[] = [];
  if (kind === 'memory') warnings.push(`${mount?.type ?? 'it'} is memory: for tests only`);
  if (kind === 'network') warnings.push(`${mount?.type ?? 'it'} is a network file system`);
  for (const option of mount?.options ?? []) {
    if (UNSAFE_OPTIONS.has(option)) {
      warnings.push(`mounted with ${option}: a power cut may lose what was acknowledged`);
    }
    if (option === 'data=writeback') {
      warnings.push(
        'mounted with data=writeback: after a crash a new file may show old bytes of the device; ' +
          'the log tells them apart, output files may not',
      );
    }
    if (option === 'ro') warnings.push('mounted read-only');
  }
  return warnings;
}

function roomWarnings({ freeBytes, segmentBytes }: DiskFacts): string[] {
  if (freeBytes >= 2 * segmentBytes) return [];
  const mib = Math.floor(freeBytes / 2 ** 20);
  return [`${mib} MiB are free, less than two segments: inputs will pause`];
}

function speedWarnings({ timings }: DiskFacts): string[] {
  const slow = timings.filter(({ bytes, p99Ms }) => bytes === 4096 && p99Ms > SLOW_SYNC_MS);
  return slow.map(
    ({ way, p99Ms }) =>
      `${way} of 4 KiB takes ${p99Ms} ms at p99, more than ${SLOW_SYNC_MS} ms: acknowledgements ` +
      'wait for it',
  );
}

function adviceFor({ kind, device, supportsDirect, timings, mount }: DiskFacts): string[] {
  const advice: string[] = [];
  if (kind === 'memory' || kind === 'network') {
    advice.push('choose a directory on a local disk (--checkpoint)');
  }
  if (mount?.options.some((option) => UNSAFE_OPTIONS.has(option)) === true) {
    advice.push('mount without that option, unless the device has a battery');
  }
  if (!supportsDirect) advice.push('without O_DIRECT blocks go through the page cache: slower');
  const p50Ms = timings.find(({ way, bytes }) => way === 'fdatasync' && bytes === 4096)?.p50Ms;
  if (p50Ms === undefined || p50Ms <= LONG_SYNC_MS) return advice;
  advice.push(
    `a sync takes ${p50Ms} ms, which each acknowledgement waits for: put more records into one ` +
      'request',
  );
  if (device?.isRotational === true) {
    advice.push('a rotating disk: a longer block interval makes larger groups (--block-interval)');
  }
  return advice;
}
