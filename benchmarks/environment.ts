/** What the numbers were measured on: shown with every table and kept with every result. Says
 * nothing by which a machine could be found: no host name, no user, no path. @module */
import { statfsSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';

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

/** Numbers of statfs(2), of file systems that one meets. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x2fc12fc1: 'zfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
  0x6969: 'nfs',
};

/** @param directory where the benchmark writes. */
export function readEnvironment(directory: string): Environment {
  const processors = cpus();
  const number = statfsSync(directory).type;
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${/^[\d.]+/.exec(release())?.[0] ?? release()}`,
    node: process.version,
    fileSystem: FILE_SYSTEMS[number] ?? `0x${number.toString(16)}`,
    load: loadAverage(),
    date: new Date().toISOString().slice(0, 10),
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
