/** `millrace check` and `millrace explain` as commander sees them: what a pipeline would be, and
 * nothing of it runs. @module */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { CheckCall } from './commands/check.ts';
import type { ExplainCall } from './commands/explain.ts';
import { addOptionFlags, readRunFlags } from './run-flags.ts';

export type PipelineToolCall =
  | ({ readonly tool: 'check' } & CheckCall)
  | ({ readonly tool: 'explain' } & ExplainCall);

const CHECK_HELP = `
With --checkpoint DIR: what a start of this pipeline on that directory would do with it, decided by
the code of the start itself. State is read and migrated as there, and nothing is written or kept.
Takes no lock and works beside a running engine; what is in flight there may be done by the time it
stops. Give the flags that the start will have. Without --checkpoint: whether the graph is sound,
and which operators with state have no id of their own.

Exit codes:
  0  the start goes on
  1  the start is refused: each reason is told with what to do; or a migrate failed
  2  acknowledged data on disk is damaged
  3  unreadable: no permission, or written by a newer version
  64 wrong use: a flag, an option, the pipeline module

Examples:
  $ millrace check wordcount.ts
  $ millrace check wordcount.ts --checkpoint /var/lib/wordcount
  $ millrace check wordcount.ts --checkpoint /var/lib/wordcount --drop-state sessions --json`;

const EXPLAIN_HELP = `
Each edge of the graph with its guarantee and the reason. What inputs and outputs promise comes from
them, what lies between from the options: give the flags that the start will have.

Exit codes: 0 done, 64 wrong use: a flag, an option, the pipeline module

Examples:
  $ millrace explain wordcount.ts
  $ millrace explain wordcount.ts --mermaid > graph.mmd`;

/** Adds both to the program. */
export function addPipelineTools(
  program: Command,
  run: (call: PipelineToolCall) => Promise<void>,
): void {
  const check = pipelineTool(program, {
    name: 'check',
    summary: 'what a start would make of a checkpoint',
    defaults: { checkpointDir: 'none: only the module is looked at' },
  })
    .option('--json', 'answer as JSON, in the shape that docs/upgrades.md describes')
    .addHelpText('after', CHECK_HELP);
  check.action((pipeline: string, given: Given) =>
    run({
      tool: 'check',
      pipeline,
      flags: readRunFlags(given),
      isJson: given['json'] === true,
    }),
  );
  const explain = pipelineTool(program, {
    name: 'explain',
    summary: 'the graph, with the guarantee of each edge',
  })
    .addOption(new Option('--mermaid', 'as a Mermaid flowchart').conflicts('json'))
    .option('--json', 'as JSON, in the shape that docs/upgrades.md describes')
    .addHelpText('after', EXPLAIN_HELP);
  explain.action((pipeline: string, given: Given) => {
    const form = given['json'] === true ? 'json' : given['mermaid'] === true ? 'mermaid' : 'text';
    return run({ tool: 'explain', pipeline, flags: readRunFlags(given), form });
  });
}

type Given = Readonly<Record<string, unknown>>;

interface ToolText {
  readonly name: string;
  readonly summary: string;
  /** Of options that count otherwise than in a run. */
  readonly defaults?: Parameters<typeof addOptionFlags>[1];
}

function pipelineTool(program: Command, { name, summary, defaults }: ToolText): Command {
  const command = program
    .command(name)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .usage('PIPELINE [flags]')
    .argument('<PIPELINE>', 'module that exports definePipeline(…) as its default')
    .helpOption('-h, --help', 'print help');
  addOptionFlags(command, defaults);
  return command;
}
