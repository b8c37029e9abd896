/** The outcome of `millrace check` for a person: one line for each thing that is compared.
 * @module */
import type { StateChange } from '../../driver/state-upgrade.ts';
import type { InputChange, OperatorChange, OptionChange } from '../../driver/upgrade-plan.ts';
import type { UpgradeCheck } from './upgrade-check.ts';

const LABEL_CHARS = 12;

/** A line with its label in front: `state       …`. */
export function labelled(label: string, text: string): string {
  return `${label.padEnd(LABEL_CHARS)}${text.replaceAll('\n', `\n${' '.repeat(LABEL_CHARS)}`)}`;
}

export function checkLines(found: UpgradeCheck): readonly string[] {
  return [
    ...found.inputs.map((each) => labelled('input', inputText(each))),
    ...found.operators.map((each) => labelled('operator', operatorText(each))),
    ...found.states.map((each) => labelled('state', stateText(each))),
    ...found.options.map((each) => labelled('option', optionText(each))),
    ...found.notes.map((each) => labelled('note', each)),
    ...found.problems.map((each) => labelled('problem', each)),
  ];
}

function operatorText({ id, kind, change, detail }: OperatorChange): string {
  const what = `${id} (${kind}): ${change}`;
  return detail === undefined ? what : `${what}: ${detail}`;
}

function inputText(input: InputChange): string {
  const { waitingBlocks, unfinishedBatches } = input;
  const work = [
    ...(waitingBlocks === 0 ? [] : [counted(waitingBlocks, 'block waits', 'blocks wait')]),
    ...(unfinishedBatches === 0
      ? []
      : [counted(unfinishedBatches, 'unfinished batch', 'unfinished batches')]),
  ];
  return work.length === 0 ? operatorText(input) : `${operatorText(input)}; ${work.join(', ')}`;
}

function stateText({ id, outcome, keyCount, fromVersion, toVersion }: StateChange): string {
  const keys = keyCount === undefined ? [] : [counted(keyCount, 'key', 'keys')];
  const version =
    fromVersion === undefined || toVersion === undefined || fromVersion === toVersion
      ? `version ${fromVersion ?? toVersion ?? 1}`
      : `version ${fromVersion} to ${toVersion}`;
  return `${id}: ${[outcome, ...keys, version].join(', ')}`;
}

function optionText({ option, before, now, rule }: OptionChange): string {
  const words = { 'must-match': 'must match', 'may-change': 'may change', ignored: 'ignored' };
  return `${option}: ${shown(before)} is ${shown(now)} now (${words[rule]})`;
}

function shown(value: unknown): string {
  return value === undefined ? 'not given' : JSON.stringify(value);
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
