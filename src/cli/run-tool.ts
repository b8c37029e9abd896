/** Runs one tool, loading only that. Knows which exit code of its own each has. @module */
import type { CliIo } from './io.ts';
import { formatError } from './error-report.ts';
import type { ToolCall } from './tool-commands.ts';
import { unreadableCode } from './wal/tool.ts';

/** @returns the exit code. @throws {MillraceError} what has the exit code of its class. */
export async function runTool(io: CliIo, call: ToolCall): Promise<number> {
  switch (call.tool) {
    case 'repair':
      return (await import('./commands/wal-repair.ts')).walRepair(io, call);
    case 'doctor':
      return (await import('./commands/doctor.ts')).doctor(io, call);
    case 'bench-wal':
      return (await import('./commands/bench-wal.ts')).benchWal(io, call);
    case 'tune':
      return (await import('./commands/tune.ts')).tune(io, call);
    case 'explain':
      return (await import('./commands/explain.ts')).explain(io, call);
    default:
      return runReader(io, call);
  }
}

type Reader = Extract<ToolCall, { readonly tool: 'inspect' | 'verify' | 'export' | 'check' }>;

/** What only reads has an exit code of its own for what cannot be read. */
async function runReader(io: CliIo, call: Reader): Promise<number> {
  try {
    switch (call.tool) {
      case 'inspect':
        return await (await import('./commands/wal-inspect.ts')).walInspect(io, call);
      case 'verify':
        return await (await import('./commands/wal-verify.ts')).walVerify(io, call);
      case 'export':
        return await (await import('./commands/wal-export.ts')).walExport(io, call);
      case 'check':
        return await (await import('./commands/check.ts')).check(io, call);
      default:
        return call satisfies never;
    }
  } catch (error) {
    const code = unreadableCode(error);
    if (code === undefined) throw error;
    io.err(`millrace: ${formatError(error, { isDebug: false })}\n`);
    return code;
  }
}
