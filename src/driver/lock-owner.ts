/** Who holds a checkpoint directory: identity of a process, as text in a lock file, and whether
 * that process still lives. Imports node:fs only to read /proc.
 *
 * A pid alone is reused sooner or later; with the boot id and the start time it names one process
 * for ever. A process of another pid namespace (container) cannot be seen from here, so nothing can
 * be said about it: it counts as alive. Where there is no /proc, only the pid is known.
 * @module */
import { readFileSync, readlinkSync } from 'node:fs';

export interface LockOwner {
  readonly pid: number;
  /** Of the running kernel; empty where unknown. */
  readonly bootId: string;
  /** In clock ticks since that boot; empty where unknown. */
  readonly startTicks: string;
  /** Of pids; empty where unknown. */
  readonly namespace: string;
}

/** This process. */
export function currentOwner(): LockOwner {
  return {
    pid: process.pid,
    bootId: bootId(),
    startTicks: processStat(process.pid)?.startTicks ?? '',
    namespace: pidNamespace(),
  };
}

/** False only when exactly that process is known to be gone. */
export function isAlive(owner: LockOwner): boolean {
  if (owner.bootId !== bootId()) return false;
  if (owner.namespace !== pidNamespace()) return true;
  if (owner.startTicks === '') return isPidInUse(owner.pid);
  const stat = processStat(owner.pid);
  return stat !== undefined && !stat.hasEnded && stat.startTicks === owner.startTicks;
}

/** One line of JSON. */
export function formatOwner(owner: LockOwner): string {
  return `${JSON.stringify(owner)}\n`;
}

/** @returns undefined for text that names nobody: empty, half-written, or foreign. */
export function parseOwner(text: string): LockOwner | undefined {
  let value: Partial<Record<keyof LockOwner, unknown>> | null;
  try {
    value = JSON.parse(text) as Partial<Record<keyof LockOwner, unknown>> | null;
  } catch {
    return undefined;
  }
  const { pid, bootId: boot, startTicks, namespace } = value ?? {};
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (typeof boot !== 'string' || typeof startTicks !== 'string') return undefined;
  return typeof namespace === 'string' ? { pid, bootId: boot, startTicks, namespace } : undefined;
}

function bootId(): string {
  return readIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // no /proc here
  }
}

/** What a line of /proc/<pid>/stat says. A main thread that is a zombie while others of the process
 * are not gone is one that is being killed: they may be in the middle of a write or a rename. */
export function parseProcessStat(stat: string): { startTicks: string; hasEnded: boolean } {
  // `pid (name) state ppid …`: the name may hold anything, so count from the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  const threadCount = Number(fields[17] ?? 0);
  const isZombie = state === 'Z' || state === 'X';
  return { startTicks: fields[19] ?? '', hasEnded: isZombie && threadCount <= 1 };
}

function processStat(pid: number): ReturnType<typeof parseProcessStat> | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseProcessStat(stat);
}

function isPidInUse(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
