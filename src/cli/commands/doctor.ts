/** `millrace doctor`: what an acknowledgement is worth in a directory, and how fast it can be.
 * @module */
import { stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import { resolveOptions } from '../../core/options.ts';
import { recogniseFileSystem } from '../../wal/file-system.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import { findDevice, findMount } from '../doctor/mount.ts';
import { diagnose } from '../doctor/promise.ts';
import type { Diagnosis, DiskFacts } from '../doctor/promise.ts';
import { probeSyncs } from '../doctor/sync-probe.ts';
import type { SyncTiming } from '../doctor/sync-probe.ts';
import type { CliIo } from '../io.ts';
import { ProgressBar } from '../wal/progress-bar.ts';
import { wrong } from '../wal/target.ts';
import { bytesText } from '../wal/tool.ts';

export interface DoctorCall {
  readonly directory: string;
  readonly seconds: number;
  readonly isJson: boolean;
}

/** @returns 0, or 1 when there is a warning.
 * @throws {MillraceError} OPTIONS_INVALID, DISK_FAILED, DISK_FULL. */
export async function doctor(io: CliIo, call: DoctorCall): Promise<number> {
  const directory = await nearestDirectory(resolve(call.directory), call.directory);
  const facts = await gather(io, directory, call.seconds);
  const diagnosis = diagnose(facts);
  if (call.isJson) {
    const head = { format: 'millrace-doctor', version: 1, directory };
    io.out(`${JSON.stringify({ ...head, ...facts, ...diagnosis })}\n`);
  } else io.out(`${report(directory, facts, diagnosis).join('\n')}\n`);
  return diagnosis.warnings.length === 0 ? 0 : 1;
}

/** Where the directory will be, when it does not exist yet: the first one above it that does. */
async function nearestDirectory(directory: string, given: string): Promise<string> {
  const found = await stat(directory).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return undefined;
    if (thrown.code === 'ENOTDIR') throw wrong(`${given} lies in a file, not in a directory`);
    const message = `${given} cannot be looked at: ${toError(thrown).message}`;
    throw new MillraceError('DISK_FAILED', message, { cause: thrown });
  });
  if (found === undefined) return nearestDirectory(dirname(directory), given);
  if (found.isDirectory()) return directory;
  throw wrong(`${directory} is a file, not a directory`);
}

async function gather(io: CliIo, directory: string, seconds: number): Promise<DiskFacts> {
  const total = seconds * 1_000;
  const format = (ms: number): string => `${ms / 1_000} s`;
  const bar = new ProgressBar(io, systemClock, { name: 'measure', total, format });
  try {
    const mount = await findMount(directory);
    const { kind } = await recogniseFileSystem(directory);
    const { bavail, bsize } = await statfs(directory);
    const supportsDirect = await nodeDisk.supportsDirect(directory);
    const onProgress = bar.advance.bind(bar);
    const timings = await probeSyncs({ directory, seconds, clock: systemClock, onProgress });
    return {
      kind,
      mount,
      device: mount === undefined ? undefined : await findDevice(mount),
      freeBytes: bavail * bsize,
      supportsDirect,
      timings,
      segmentBytes: resolveOptions({ module: { name: 'doctor' } }).receiverSegmentBytes,
    };
  } finally {
    bar.close();
  }
}

function report(directory: string, facts: DiskFacts, diagnosis: Diagnosis): string[] {
  const { mount, kind, device, freeBytes, supportsDirect, timings } = facts;
  const { promise, warnings, advice } = diagnosis;
  return [
    `directory     ${directory}`,
    `file system   ${mount === undefined ? 'not known' : `${mount.type} (${kind})`}`,
    `mounted       ${mountText(mount)}`,
    `device        ${deviceText(device)}`,
    `free          ${bytesText(freeBytes)}`,
    `O_DIRECT      ${supportsDirect ? 'yes' : 'no'}`,
    '',
    'write and sync        p50 ms    p99 ms    max ms   samples',
    ...timings.map(timingLine),
    '',
    `An acknowledgement: ${promise}`,
    ...warnings.map((warning) => `warning: ${warning}`),
    ...advice.map((each) => `advice: ${each}`),
  ];
}

function mountText(mount: DiskFacts['mount']): string {
  return mount === undefined ? 'not known' : `${mount.mountPoint}, ${mount.options.join(',')}`;
}

function deviceText(device: DiskFacts['device']): string {
  if (device === undefined) return 'none to be seen';
  const { name, writeCache, hasFua, isRotational } = device;
  const parts = [name, `cache ${writeCache ?? 'not known'}`];
  if (hasFua !== undefined) parts.push(hasFua ? 'FUA' : 'no FUA');
  if (isRotational !== undefined) parts.push(isRotational ? 'rotating' : 'not rotating');
  return parts.join(', ');
}

function timingLine({ way, bytes, p50Ms, p99Ms, maxMs, samples }: SyncTiming): string {
  const numbers = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(3).padStart(10)).join('');
  const size = bytesText(bytes).padStart(8);
  return `${way.padEnd(10)}${size}${numbers}${String(samples).padStart(10)}`;
}
