/** `millrace wal …`, `doctor`, `bench` and `tune` as commander sees them: arguments, flags, help.
 * Runs nothing itself. @module */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { InspectCall } from './commands/wal-inspect.ts';
import type { ExportCall, LsnRange } from './commands/wal-export.ts';
import type { RepairCall } from './commands/wal-repair.ts';
import type { VerifyCall } from './commands/wal-verify.ts';
import type { DoctorCall } from './commands/doctor.ts';
import { MillraceError } from '../core/errors.ts';
import { addBenchCommand } from './bench-command.ts';
import { addPipelineTools } from './pipeline-tools.ts';
import type { PipelineToolCall } from './pipeline-tools.ts';
import type { MeasureCall } from './bench/argument-reader.ts';
import { addTuneCommand } from './tune-command.ts';
import type { DropRange } from './wal/drop-range.ts';

/** A tool and what it was called with. */
export type ToolCall =
  | ({ readonly tool: 'inspect' } & InspectCall)
  | ({ readonly tool: 'verify' } & VerifyCall)
  | ({ readonly tool: 'repair' } & RepairCall)
  | ({ readonly tool: 'export' } & ExportCall)
  | ({ readonly tool: 'doctor' } & DoctorCall)
  | ({ readonly tool: 'bench-wal' } & MeasureCall)
  | ({ readonly tool: 'tune' } & MeasureCall)
  | PipelineToolCall;

const DIR = 'checkpoint directory, or the directory of one log';
const JSON_SUMMARY = 'answer as JSON, in the shape that docs/wal-tools.md describes';

const RANGE_ALONE = '--log and --lsn choose records: give --records too';

const READING_HELP = `
Nothing is changed, and no lock is taken: it works beside a running engine, whose files may grow and
go meanwhile. That is told then.`;

const VERIFY_HELP = `${READING_HELP}

Exit codes:
  0  clean: a start goes on
  1  a torn tail: the end of a write that nobody was told about; a start keeps it aside
  2  damage: a start is refused
  3  unreadable: no permission, or written by a newer version
  64 wrong use

Examples:
  $ millrace wal verify /var/lib/wordcount
  $ millrace wal verify --deep --json /var/lib/wordcount`;

const REPAIR_HELP = `
The directory itself is never changed: --output gets a repaired copy, on the device when this ends.

--torn does what a start does with a torn tail. --drop-range, once or several times, takes records
out of logs; millrace wal verify names all places and prints the command. Batches that needed them
run without them, the engine says so at that batch (blocks-lost), and loss-….json in the copy names
blocks and source positions. Of driver-log only records can be dropped that the newest checkpoint
does not need any more.

Exit codes: 0 done, 2 more than that is damaged, 64 wrong use, also --torn where nothing is torn,
74 the disk failed, 75 an engine runs

Examples:
  $ millrace wal repair --torn --output /var/lib/repaired /var/lib/wordcount
  $ millrace wal repair --drop-range receiver-log-0:17..19 --accept-data-loss \\
      --output /var/lib/repaired /var/lib/wordcount`;

const EXPORT_HELP = `${READING_HELP}

Records that cannot be read are told on standard error, and the export goes on behind them.

Exit codes:
  0  done; also when the log ends in a torn write
  2  records in the range are damaged; all others were written
  3  unreadable: no permission, or written by a newer version
  64 wrong use

Examples:
  $ millrace wal export /var/lib/wordcount --log receiver-log-0 --lsn 100..200
  $ millrace wal export /var/lib/wordcount --stream lines-0 | jq -c '.records[]'`;

const INSPECT_HELP = `${READING_HELP}

Exit codes: 0 done, 2 with --records: some of them are damaged, 3 unreadable: no permission, or
written by a newer version, 64 wrong use`;

const DOCTOR_HELP = `
Writes a file of its own into the directory, and removes it again, also when interrupted. For a
directory that does not exist yet the nearest one above it is measured.

Exit codes: 0 fine, 1 it works and something is to be told, 64 wrong use, 74 the disk failed`;

/** Adds all tools to the program. */
export function addToolCommands(program: Command, run: (call: ToolCall) => Promise<void>): void {
  const wal = program
    .command('wal')
    .summary('look at, check, repair or export logs')
    .description('Tools for the write-ahead log. They never change a directory in place.')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help on a command');
  addInspect(wal, run);
  addVerify(wal, run);
  addRepair(wal, run);
  addExport(wal, run);
  addDoctor(program, run);
  addBenchCommand(program, (call) => run({ tool: 'bench-wal', ...call }));
  addTuneCommand(program, (call) => run({ tool: 'tune', ...call }));
  addPipelineTools(program, run);
}

type Run = (call: ToolCall) => Promise<void>;

function addInspect(wal: Command, run: Run): void {
  tool(wal, 'inspect', 'what is in a directory: segments, LSNs, checkpoints')
    .argument('<DIR>', DIR)
    .option('--records', 'list the records of the logs instead')
    .option('--log <name>', 'with --records: only of this log')
    .option('--lsn <range>', 'with --records: only these, A..B, A.. or A', parseRange)
    .option('--json', JSON_SUMMARY)
    .addHelpText('after', INSPECT_HELP)
    .action((directory: string, given: Given) => {
      const isJson = given['json'] === true;
      if (given['records'] !== true) {
        if (given['log'] !== undefined || given['lsn'] !== undefined) {
          throw new MillraceError('OPTIONS_INVALID', RANGE_ALONE);
        }
        return run({ tool: 'inspect', directory, isJson });
      }
      const form = isJson ? 'json' : 'text';
      const range = { log: text(given['log']), lsn: given['lsn'] as LsnRange | undefined };
      const rest = { stream: undefined, output: undefined, withRecords: false };
      return run({ tool: 'export', directory, form, ...range, ...rest });
    });
}

function addVerify(wal: Command, run: Run): void {
  tool(wal, 'verify', 'what a start would say: clean, torn or damaged')
    .argument('<DIR>', DIR)
    .option('--deep', 'also decode every payload and every record in it')
    .option('--json', JSON_SUMMARY)
    .addHelpText('after', VERIFY_HELP)
    .action((directory: string, given: Given) => {
      const [isDeep, isJson] = [given['deep'] === true, given['json'] === true];
      return run({ tool: 'verify', directory, isDeep, isJson });
    });
}

function addRepair(wal: Command, run: Run): void {
  tool(wal, 'repair', 'make a repaired copy of a checkpoint directory')
    .argument('<DIR>', 'checkpoint directory')
    .requiredOption('--output <dir>', 'the copy; must not exist')
    .option('--torn', 'keep torn tails aside')
    .option('--drop-range <log:A..B>', 'take these records out of a log; repeatable', addDrop, [])
    .option('--accept-data-loss', 'needed with --drop-range')
    .option('--json', JSON_SUMMARY)
    .addHelpText('after', REPAIR_HELP)
    .action((directory: string, given: Given) =>
      run({
        tool: 'repair',
        directory,
        output: String(given['output']),
        isTorn: given['torn'] === true,
        drops: given['dropRange'] as readonly DropRange[],
        isLossAccepted: given['acceptDataLoss'] === true,
        isJson: given['json'] === true,
      }),
    );
}

function addExport(wal: Command, run: Run): void {
  tool(wal, 'export', 'the records of the logs as JSON lines, blocks decoded')
    .argument('<DIR>', DIR)
    .option('--log <name>', 'only of this log')
    .option('--lsn <range>', 'only these: A..B, A.. or A', parseRange)
    .option('--stream <id>', 'only blocks of this input')
    .option('--raw', 'the payloads as they are, each after its length (u32, little-endian)')
    .option('--output <file>', 'a new file instead of standard output')
    .addHelpText('after', EXPORT_HELP)
    .action((directory: string, given: Given) =>
      run({
        tool: 'export',
        directory,
        log: text(given['log']),
        lsn: given['lsn'] as LsnRange | undefined,
        stream: text(given['stream']),
        form: given['raw'] === true ? 'raw' : 'json',
        output: text(given['output']),
        withRecords: true,
      }),
    );
}

function addDoctor(program: Command, run: Run): void {
  tool(program, 'doctor', 'what an acknowledgement is worth on this disk')
    .argument('[DIR]', 'where the checkpoint directory will be', '.')
    .option('--seconds <n>', 'how long to measure, 0.1 to 600', parseSeconds, 3)
    .option('--json', JSON_SUMMARY)
    .addHelpText('after', DOCTOR_HELP)
    .action((directory: string, given: Given) => {
      const isJson = given['json'] === true;
      return run({ tool: 'doctor', directory, seconds: Number(given['seconds']), isJson });
    });
}

type Given = Readonly<Record<string, unknown>>;

function tool(parent: Command, name: string, summary: string): Command {
  return parent
    .command(name)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .helpOption('-h, --help', 'print help');
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** `17`, `17..19` or `17..` */
function parseRange(given: string): LsnRange {
  const [, from, dots, to] = /^(\d+)(?:(\.\.)(\d*))?$/.exec(given) ?? [];
  const first = Number(from);
  const last = dots === undefined ? first : to === '' ? Infinity : Number(to);
  if (from !== undefined && first >= 1 && last >= first) return { first, last };
  throw new InvalidArgumentError('Give LSNs as A..B, A.. or A, from 1 on.');
}

function addDrop(given: string, before: readonly DropRange[]): readonly DropRange[] {
  return [...before, parseDrop(given)];
}

/** `receiver-log-0:17..19` */
function parseDrop(given: string): DropRange {
  const [, log, range] = /^([^:]+):(\d+(?:\.\.\d+)?)$/.exec(given) ?? [];
  if (log !== undefined && range !== undefined) {
    const { first, last } = parseRange(range);
    return { log, firstLsn: first, lastLsn: last };
  }
  throw new InvalidArgumentError('Give a log and its LSNs, such as receiver-log-0:17..19.');
}

function parseSeconds(given: string): number {
  const seconds = Number(given);
  if (seconds >= 0.1 && seconds <= 600) return seconds;
  throw new InvalidArgumentError('Give 0.1 to 600 seconds.');
}
