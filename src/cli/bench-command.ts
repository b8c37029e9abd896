/** `millrace bench wal` as commander sees it: arguments, flags, help. Runs nothing itself, checks
 * nothing: all problems are told together, later (bench/bench-arguments.ts). @module */
import type { Command } from 'commander';
import type { MeasureCall } from './bench/argument-reader.ts';
import { BENCH_DEFAULTS } from './bench/bench-defaults.ts';

const HELP = `
Starts an engine of its own for each sample, in DIR, with a made-up input, filter and count; removes
what it wrote, also when interrupted. Each combination (a cell) is measured in every round; every
second round goes backwards. A sample takes the given seconds at full speed, then about half as long
at half of that speed, at which acknowledgements are timed, and some seconds around that. The disk
alone is measured before and after: synced overwrites of 1 MiB and of 4 KiB.

The table goes to standard output; it ends with what the log costs here and why, and with what
speaks against these numbers. The page opens offline. docs/performance.md says how to read
them.

Exit codes:
  0    done
  1    an engine failed
  64   wrong use
  74   the disk failed, or has too little room
  130  SIGINT; 143: SIGTERM; 129: SIGHUP. What it wrote is removed

Examples:
  $ millrace bench wal --budget 2m --html bench.html /var/lib
  $ millrace bench wal --wal off,sync --receivers 1 --block-intervals 5ms --record-bytes 100
  $ millrace bench wal --json - | jq '.cells[] | [.cell.wal, .recordsPerSecond.median]'`;

export function addBenchCommand(program: Command, run: (call: MeasureCall) => Promise<void>): void {
  const bench = program
    .command('bench')
    .summary('measure what durability costs on a disk')
    .description('Measure on your own disk.')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help on a command');
  const wal = bench
    .command('wal')
    .summary('what the log costs: off, flush, sync')
    .description('What the log costs on a disk: off, flush, sync.')
    .usage('[DIR] [flags]')
    .argument('[DIR]', 'a directory on the disk to be measured (default: .)')
    .helpOption('-h, --help', 'print help')
    .allowUnknownOption()
    .allowExcessArguments()
    .option('--wal <levels>', `off, flush, sync (default: ${BENCH_DEFAULTS.wal})`)
    .option(
      '--receivers <numbers>',
      `threads that receive, 1 to 64, one log each (default: ${BENCH_DEFAULTS.receivers})`,
    )
    .option(
      '--block-intervals <durations>',
      `how often a block is cut, 5ms to 2s (default: ${BENCH_DEFAULTS.blockIntervals})`,
    )
    .option(
      '--record-bytes <numbers>',
      `length of a record, 2 to 65536 (default: ${BENCH_DEFAULTS.recordBytes})`,
    )
    .option(
      '--seconds <n>',
      `at full speed, for each sample, 0.1 to 600 (default: ${BENCH_DEFAULTS.seconds})`,
    )
    .option(
      '--repetitions <n>',
      `samples of each cell, 1 to 100 (default: ${BENCH_DEFAULTS.repetitions})`,
    )
    .option('--budget <duration>', 'of the whole run, instead of --seconds, such as 2m')
    .option('--smoke', 'few cells, very short: does it work? Says nothing of speed')
    .option('--json <file>', 'write the numbers as JSON; - instead of the table')
    .option('--html <file>', 'write a page with plots, which opens offline')
    .addHelpText('after', HELP);
  wal.action(() => run({ operands: wal.args, given: wal.opts() }));
}
