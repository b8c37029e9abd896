/** What a process costs, read from outside. Linux only; elsewhere the numbers are left out.
 * @module */
import { readFileSync } from 'node:fs';

/** Resident memory in bytes, shared memory that it has touched included. */
export function residentBytes(pid: number): number | undefined {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** CPU time of all its threads, in milliseconds, to 10 ms. */
export function cpuMs(pid: number): number | undefined {
  // The second field is a name that may hold spaces; utime and stime are 12th and 13th after it.
  const fields = read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /, '')
    .split(' ');
  const ticks = Number(fields?.[11]) + Number(fields?.[12]);
  return Number.isNaN(ticks) ? undefined : ticks * 10;
}

/** CPU time of this process and of all those that it started and saw end, in milliseconds. */
export function ownCpuMs(): number | undefined {
  const fields = read('/proc/self/stat')
    ?.replace(/^.*\) /, '')
    .split(' ');
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields?.[at]), 0);
  return Number.isNaN(ticks) ? undefined : ticks * 10;
}

/** CPU time of everything on this machine since it was started, in milliseconds, to 10 ms. */
export function machineCpuMs(): number | undefined {
  const [, user, nice, system, , , irq, softIrq] = (read('/proc/stat') ?? '').split(/\s+/);
  const ticks = [user, nice, system, irq, softIrq].reduce((sum, each) => sum + Number(each), 0);
  return Number.isNaN(ticks) ? undefined : ticks * 10;
}

/** CPU time of its main thread, which is the driver, in milliseconds. */
export function mainThreadCpuMs(pid: number): number | undefined {
  const nanoseconds = Number(read(`/proc/${pid}/task/${pid}/schedstat`)?.split(' ')[0]);
  return Number.isNaN(nanoseconds) ? undefined : nanoseconds / 1e6;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // gone, or no Linux
    throw error;
  }
}
