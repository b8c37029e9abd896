/** One sample of a peer: a process of its own that prints one line of JSON, whose counts are
 * checked. @module */
import { spawn } from 'node:child_process';
import type { PeerTask } from './peer.ts';

/** What a peer prints. A log says what it appended and found again, a stream what it was fed. */
export interface PeerAnswer {
  /** Within the measured time. */
  readonly records: number;
  readonly seconds: number;
  readonly [name: string]: unknown;
}

/** Start-up, warm-up and reading back, on a slow machine. */
const EXTRA_MS_MAX = 180_000;
const SHOWN_CHARACTERS = 4_000;

/** @throws when it fails, says nothing, or takes far too long; it is gone by then. */
export async function runPeer(
  [program, ...args]: readonly [string, ...string[]],
  { directory, warmUpMs, measureMs }: PeerTask,
): Promise<PeerAnswer> {
  const child = spawn(program, args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: warmUpMs + measureMs + EXTRA_MS_MAX,
    killSignal: 'SIGKILL',
  });
  let answer = '';
  let words = '';
  child.stdout.on('data', (text: Buffer) => (answer += String(text)));
  child.stderr.on(
    'data',
    (text: Buffer) => (words = (words + String(text)).slice(-SHOWN_CHARACTERS)),
  );
  const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => resolve(exitCode ?? signal));
  });
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${words}`);
  return readAnswer(answer, words);
}

function readAnswer(text: string, words: string): PeerAnswer {
  const last = text.trim().split('\n').at(-1) ?? '';
  const answer: unknown = last.startsWith('{') ? JSON.parse(last) : undefined;
  if (isAnswer(answer)) return answer;
  throw new Error(`a peer printed no records and seconds, but: ${last}\n${words}`);
}

function isAnswer(value: unknown): value is PeerAnswer {
  if (typeof value !== 'object' || value === null) return false;
  const { records, seconds } = value as Record<string, unknown>;
  return typeof records === 'number' && records > 0 && typeof seconds === 'number' && seconds > 0;
}
