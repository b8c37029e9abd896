/** Real system calls of a real engine, seen and made to fail by strace. A machine without it fails
 * the test that needs it: what is skipped proves nothing. @module */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const TRACED_STATUS = 42;

/** Why strace cannot make calls fail here; undefined when it can. Found by making one fail: as a
 * grandchild (-D), which is how the tests use it, a strace that may not trace complains and lets the
 * program run untraced to a good end. */
export function whyNoTrace(): string | undefined {
  const shell = ['sh', '-c', `kill -0 $$ || exit ${TRACED_STATUS}`];
  const options = '-D -f -qq -o /dev/null -e trace=kill -e inject=kill:error=EPERM';
  const { status, error, stderr } = spawnSync('strace', [...options.split(' '), ...shell]);
  if (status === TRACED_STATUS) return undefined;
  return error === undefined ? String(stderr) : error.message;
}

/** @throws when strace is missing or may not trace. */
export function requireStrace(): void {
  const why = whyNoTrace();
  if (why === undefined) return;
  throw new Error(
    `these tests need strace, and the right to trace own processes (CAP_SYS_PTRACE in a container): ${why}`,
  );
}

/** strace itself gave up, now and then at the end of a thread. What it traced goes on without it, and
 * each call that it was to see fails with ENOSYS: such a run shows nothing.
 * @param said the standard error of a traced process. */
export function hasLostItsTracer(said: string): boolean {
  return /strace: ptrace\(.*\): /.test(said);
}

/** What one call is made to do. */
export interface Injection {
  readonly call: string;
  /** `error=EIO`, or `retval=0` for a write that takes nothing. */
  readonly effect: string;
  /** `3`: the third call of a thread; `3+`: it and all after it. */
  readonly when: string;
}

export interface TraceOptions {
  /** Where strace writes what it saw. */
  readonly file: string;
  readonly calls: readonly string[];
  readonly injections?: readonly Injection[];
  /** Only calls on exactly these paths. */
  readonly paths?: readonly string[];
  /** Bytes shown of each string. */
  readonly textBytes?: number;
}

/** The command to put before that of the engine. The engine stays the child of whoever starts it:
 * its exit code and its signals are its own. */
export function straceCommand(options: TraceOptions): string[] {
  const { file, calls, injections = [], paths = [], textBytes = 32 } = options;
  // One thread for files: `when` counts the calls of each thread.
  const engine = '-E UV_THREADPOOL_SIZE=1';
  const fixed = `strace -D -f --seccomp-bpf -qq -y -s ${textBytes} ${engine} -e signal=none`;
  return [
    ...fixed.split(' '),
    '-o',
    file,
    '-e',
    `trace=${calls.join(',')}`,
    ...injections.flatMap(({ call, effect, when }) => [
      '-e',
      `inject=${call}:${effect}:when=${when}`,
    ]),
    ...paths.flatMap((path) => ['-P', path]),
  ];
}

/** One system call. `from` and `to` are the lines of the trace where it was begun and done. */
export interface TracedCall {
  readonly thread: string;
  readonly name: string;
  /** Arguments and result, as strace prints them. */
  readonly text: string;
  readonly from: number;
  readonly to: number;
  readonly isInjected: boolean;
}

/** All calls that returned, in the order in which they did. */
export function readTrace(file: string): TracedCall[] {
  if (!existsSync(file)) return [];
  const begun = new Map<string, { name: string; text: string; from: number }>();
  const calls: TracedCall[] = [];
  for (const [line, content] of readFileSync(file, 'latin1').split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(content) ?? [];
    const [, open, openText = ''] = /^(\w+)\((.*) <unfinished \.\.\.>$/.exec(rest) ?? [];
    if (open !== undefined) {
      begun.set(thread, { name: open, text: openText, from: line });
      continue;
    }
    const [, resumed, resumedText = ''] = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest) ?? [];
    const [, name = resumed, text = resumedText] = /^(\w+)\((.*)$/.exec(rest) ?? [];
    if (name === undefined) continue;
    const start = resumed === undefined ? undefined : begun.get(thread);
    calls.push({
      thread,
      name,
      text: (start?.text ?? '') + text,
      from: start?.from ?? line,
      to: line,
      isInjected: text.includes('(INJECTED)'),
    });
  }
  return calls;
}
