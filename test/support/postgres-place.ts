/** A Postgres server of its own for a test: a cluster in a temporary directory, which listens on a
 * socket there and on no port. `close` ends it and removes the directory.
 *
 * Postgres does not run as root: then it runs as the user postgres, or nobody. A machine without it
 * skips the tests that need it, by name. @module */
import { execFile, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
/** Where Debian keeps the programs of each version, out of the PATH. */
const VERSIONS = '/usr/lib/postgresql';
const LIMIT_MS = 100_000;
/** Must not be seen in anything that is printed. */
export const PASSWORD = 'not-to-be-shown';

/** Why there can be no server here; undefined when there can. */
export function whyNoPostgres(): string | undefined {
  return folderOfPrograms() === undefined ? 'initdb and pg_ctl of Postgres are missing' : undefined;
}

function folderOfPrograms(): string | undefined {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS).toSorted().toReversed() : [];
  const folders = versions.map((version) => join(VERSIONS, version, 'bin'));
  const inPath = (process.env['PATH'] ?? '').split(':');
  return [...folders, ...inPath].find((folder) =>
    ['initdb', 'pg_ctl', 'postgres'].every((name) => existsSync(join(folder, name))),
  );
}

/** Who runs the server. */
function serverUser(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string, user: string): number =>
    Number(spawnSync('id', [flag, user], { encoding: 'utf8' }).stdout || Number.NaN);
  const user = Number.isNaN(idOf('-u', 'postgres')) ? 'nobody' : 'postgres';
  return { uid: idOf('-u', user), gid: idOf('-g', user) };
}

export class PostgresPlace {
  readonly directory: string;
  /** For `postgresSink`. */
  readonly url: string;
  readonly #programs = folderOfPrograms() ?? '';
  readonly #user = serverUser();

  private constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'millrace-pg-'));
    const { uid, gid } = this.#user;
    if (uid !== undefined && gid !== undefined) chownSync(this.directory, uid, gid);
    this.url = `postgres:///postgres?host=${this.directory}&user=tester&password=${PASSWORD}`;
  }

  static async start(): Promise<PostgresPlace> {
    const place = new PostgresPlace();
    try {
      await place.#run('initdb', '-A', 'trust', '-U', 'tester', '-E', 'UTF8', '--no-sync');
      await place.startServer();
      return place;
    } catch (error) {
      await place.close();
      throw error;
    }
  }

  /** Again and again: right after a kill, children of the old server may still hold its memory. */
  async startServer(): Promise<void> {
    // Processes die here, and never the machine: syncs would only cost time.
    const settings = `-c listen_addresses= -c fsync=off -k ${this.directory}`;
    const log = join(this.directory, 'log');
    const deadline = performance.now() + LIMIT_MS;
    for (;;) {
      try {
        return await this.#run('pg_ctl', 'start', '-w', '-s', '-l', log, '-o', settings);
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  /** Without a farewell to clients and without a checkpoint: the next start recovers. */
  stopServer(): Promise<void> {
    return this.#run('pg_ctl', 'stop', '-w', '-s', '-m', 'immediate');
  }

  /** SIGKILL to the server's first process; the others find out. */
  killServer(): void {
    const [pid] = readFileSync(join(this.directory, 'data', 'postmaster.pid'), 'utf8').split('\n');
    process.kill(Number(pid), 'SIGKILL');
  }

  /** All rows of one query, as arrays. */
  async query(text: string): Promise<unknown[][]> {
    const client = new pg.Client(this.url);
    await client.connect();
    try {
      return (await client.query({ text, rowMode: 'array' })).rows as unknown[][];
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    await this.stopServer().catch(() => undefined); // it may not run
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #run(program: string, ...args: string[]): Promise<void> {
    const all = ['-D', join(this.directory, 'data'), ...args];
    const options = { ...this.#user, cwd: this.directory, timeout: LIMIT_MS };
    await run(join(this.#programs, program), all, options);
  }
}
