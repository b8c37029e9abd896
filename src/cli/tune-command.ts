/** `millrace tune` as commander sees it: arguments, flags, help. Runs nothing itself, checks
 * nothing: all problems are told together, later (tune/tune-arguments.ts). @module */
import type { Command } from 'commander';
import type { PipelineOptions } from '../core/options-types.ts';
import { addOptionFlags } from './run-flags.ts';
import type { MeasureCall } from './bench/argument-reader.ts';
import { TUNE_DEFAULTS } from './tune/tune-arguments.ts';

/** What is varied, and what a sample has no use for. */
const OMITTED: ReadonlySet<keyof PipelineOptions> = new Set<keyof PipelineOptions>([
  'batchInterval',
  'blockInterval',
  'executors',
  'receiverExecutors',
  'checkpointDir',
  'mirrorDir',
  'maxRate',
  'catchUp',
  'gracefulStopTimeout',
  'onWalFailure',
  'quarantineDir',
]);

const HELP = `
Runs the pipeline itself, again and again for some seconds, each time in a process and a directory
of its own, which is removed: at full speed, then at rates below that. A rate is sustained when it
is reached and the scheduling delay of the batches does not grow. Without --rate: the highest rate
that is sustained, and of the settings within the noise of it the one with the lowest latency. With
--rate: the setting with the lowest latency that sustains it.

Inputs are read as they are: what is taken from a real source then is gone from it. Give --lines to
put the lines of a file in place of httpTextStream, socketTextStream and generatorStream. Outputs
are not called: what reaches them is counted and dropped; print reads what it shows and shows it to
nobody. With --with-outputs they are called, on each sample's records; that is refused where one of
them is a table of SQLite or Postgres, which belongs to one checkpoint directory.

The other flags are those of millrace run, and count for all samples. docs/performance.md says how
to read the report.

Exit codes:
  0    done
  1    an engine failed, or no setting sustains what was asked for
  64   wrong use: a flag, an option, the pipeline module
  74   the disk failed, or has too little room
  130  SIGINT; 143: SIGTERM; 129: SIGHUP. The numbers so far are printed; what it wrote is removed

Examples:
  $ millrace tune wordcount.ts
  $ millrace tune wordcount.ts --lines book.txt --rate 50000 --html tune.html
  $ millrace tune wordcount.ts --batch-intervals 200ms,1s --executors 2 --wal off --budget 30s`;

export function addTuneCommand(program: Command, run: (call: MeasureCall) => Promise<void>): void {
  const tune = program
    .command('tune')
    .summary('find the intervals and threads that fit a pipeline')
    .description('Find the intervals and threads that fit a pipeline, by running it.')
    .usage('PIPELINE [flags]')
    .argument('[PIPELINE]', 'module that exports definePipeline(…) as its default')
    .helpOption('-h, --help', 'print help')
    .allowUnknownOption()
    .allowExcessArguments()
    .option('--budget <duration>', `how long it may take (default: ${TUNE_DEFAULTS.budget})`)
    .option('--rate <n>', 'records a second to be sustained (default: as many as possible)')
    .option(
      '--block-intervals <durations>',
      'how often a block is cut (default: 20ms, 50ms, 100ms and the pipeline’s own)',
    )
    .option(
      '--batch-intervals <durations>',
      'how often a batch is cut (default: 200ms, 500ms, 1s and the pipeline’s own)',
    )
    .option(
      '--receivers <numbers>',
      'threads that run receivers (default: 1, 2, 4, up to receivers and cores)',
    )
    .option(
      '--executors <numbers>',
      'threads that run tasks (default: one less than cores, cores, the pipeline’s own)',
    )
    .option('--lines <file>', 'lines of this file, again and again, in place of text inputs')
    .option('--with-outputs', 'call the outputs: they write to their places')
    .option(
      '--dir <dir>',
      'where samples write: on the disk that will be used (default: by the checkpoint directory)',
    )
    .option('--json <file>', 'write the numbers as JSON; - instead of the text')
    .option('--html <file>', 'write a page with heat map and curves, which opens offline');
  addOptionFlags(tune, {}, OMITTED);
  tune.addHelpText('after', HELP);
  tune.action(() => run({ operands: tune.args, given: tune.opts() }));
}
