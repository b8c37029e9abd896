/** An explanation for a person, and as a Mermaid flowchart. @module */
import type { Explanation, ExplainedEdge, Guarantee } from './explanation.ts';

const WORDS: Readonly<Record<Guarantee, string>> = {
  'exactly-once': 'exactly once',
  'at-least-once': 'at least once',
  'at-most-once': 'at most once',
  none: 'no guarantee: may be missing, may come twice',
};

/** One edge a line, its reason below. */
export function explanationLines({ edges, outputs }: Explanation): readonly string[] {
  return [
    ...edges.flatMap((edge) => [`${endsOf(edge)}   ${labelOf(edge)}`, `    ${edge.reason}`]),
    '',
    'From end to end',
    ...outputs.map(({ output, guarantee, because }) => {
      const why = because.length === 0 ? '' : `, because of ${because.join(', ')}`;
      return `  ${output}: ${WORDS[guarantee]}${why}`;
    }),
  ];
}

/** `flowchart LR`, with rounded ends for what the pipeline reads from and writes to. */
export function mermaidLines({ operators, edges }: Explanation): readonly string[] {
  const numbers = new Map(operators.map(({ id }, index) => [id, `n${index}`]));
  const name = (id: string): string => numbers.get(id) ?? id;
  const nodes = operators.map(({ id, kind }) => {
    const text = id.startsWith(`${kind}-`) ? id : `${id}<br/>${kind}`;
    return `  ${name(id)}["${text}"]`;
  });
  const ends = edges.map((edge) => {
    const { from, to } = edge;
    const left = from === null ? `${name(to ?? '')}s(["source"])` : name(from);
    const right = to === null ? `${name(from ?? '')}t(["target"])` : name(to);
    return `  ${left} -->|"${labelOf(edge)}"| ${right}`;
  });
  return ['flowchart LR', ...nodes, ...ends];
}

function endsOf({ from, to }: ExplainedEdge): string {
  return `${from ?? 'source'} → ${to ?? 'target'}`;
}

function labelOf({ delivery, guarantee }: ExplainedEdge): string {
  return delivery === undefined || delivery === guarantee
    ? WORDS[guarantee]
    : `${delivery}: ${WORDS[guarantee]}`;
}
