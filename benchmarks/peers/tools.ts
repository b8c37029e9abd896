/** Which programs that peers need are on this machine. @module */
import { spawnSync } from 'node:child_process';
import type { ToolName } from './peer.ts';

interface Tool {
  /** Prints its version. */
  readonly command: readonly [string, ...string[]];
  /** Whether what it prints will do. */
  readonly version: RegExp;
  /** Told where it is missing. */
  readonly wanted: string;
}

export const TOOLS: Readonly<Record<ToolName, Tool>> = {
  go: {
    command: ['go', 'version'],
    version: /\bgo1\.(?:2[6-9]|[3-9]\d)\b/,
    wanted: 'Go 1.26 or newer',
  },
  java: {
    command: ['javac', '-version'],
    version: /\bjavac 17\b/,
    wanted: 'a JDK 17, the newest that Spark 3.5 runs on',
  },
  maven: { command: ['mvn', '-v'], version: /\bMaven 3\b/, wanted: 'Maven 3' },
  python3: {
    command: ['python3', '-c', 'import sqlite3; print("SQLite", sqlite3.sqlite_version)'],
    version: /\bSQLite 3\b/,
    wanted: 'Python 3 with its sqlite3',
  },
};

/** Why a peer that needs this tool cannot run here; `undefined`: it can. */
export function missingReason(name: ToolName): string | undefined {
  const { command, version, wanted } = TOOLS[name];
  const [program, ...args] = command;
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) return `needs ${wanted}: there is no ${program} on the PATH`;
  const said = `${stdout}${stderr}`.trim();
  if (version.test(said)) return undefined;
  return `needs ${wanted}: ${program} says "${said.split('\n')[0] ?? ''}"`;
}
