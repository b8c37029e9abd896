/** What the numbers were measured on: shown with every table and kept with every result. Says
 * nothing by which a machine could be found: no host name, no user, no path. @module */
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { systemClock } from '../../core/clock.ts';
import { recogniseFileSystem } from '../../wal/file-system.ts';

export interface Environment {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Under the directory in which logs were written. */
  readonly fileSystem: string;
  /** One minute's load average before the first sample: what else the machine was doing. */
  readonly load: number;
  readonly date: string;
}

/** @param directory where is written. */
export async function readEnvironment(directory: string): Promise<Environment> {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${/^[\d.]+/.exec(release())?.[0] ?? release()}`,
    node: process.version,
    fileSystem: (await recogniseFileSystem(directory)).type,
    load: loadAverage(),
    date: new Date(systemClock.wallMs()).toISOString().slice(0, 10),
  };
}

export function loadAverage(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

/** One line. */
export function environmentText(environment: Environment): string {
  const { cpu, cores, memoryGiB, kernel, node, fileSystem, load, date } = environment;
  return (
    `${cores} × ${cpu}, ${memoryGiB} GiB, ${kernel}, node ${node}, ${fileSystem}, ` +
    `load before ${load}, ${date}`
  );
}

/** CPU time of everything on this machine, in milliseconds, since some moment in the past. */
export function machineCpuMs(): number {
  return cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0,
  );
}
