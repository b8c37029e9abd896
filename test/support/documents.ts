/** The documents of the repository, taken apart: fenced blocks, links, inline code, tables. @module */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT: string = fileURLToPath(new URL('../../', import.meta.url));

export interface FencedBlock {
  /** `file:line` of its first line. */
  readonly place: string;
  /** Empty when none is given. */
  readonly language: string;
  readonly text: string;
}

export interface TextAt {
  readonly place: string;
  readonly text: string;
}

export class Document {
  /** From the repository's root. */
  readonly path: string;
  readonly #lines: readonly string[];

  constructor(path: string) {
    this.path = path;
    this.#lines = readFileSync(join(ROOT, path), 'utf8').split('\n');
  }

  get blocks(): FencedBlock[] {
    const blocks: FencedBlock[] = [];
    let begun: { language: string; line: number } | undefined;
    this.#lines.forEach((text, index) => {
      const [, language] = /^\s*```(.*)$/.exec(text) ?? [];
      if (language === undefined) return;
      if (begun === undefined) {
        begun = { language: language.trim(), line: index + 1 };
        return;
      }
      const content = this.#lines.slice(begun.line, index).join('\n');
      blocks.push({
        place: `${this.path}:${begun.line + 1}`,
        language: begun.language,
        text: `${content}\n`,
      });
      begun = undefined;
    });
    return blocks;
  }

  /** Text between backticks, outside of fenced blocks. */
  get codeSpans(): TextAt[] {
    return this.#prose.flatMap(({ place, text }) =>
      [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => ({ place, text: code })),
    );
  }

  /** Targets of links, without those that lead out of the repository. */
  get links(): TextAt[] {
    return this.#prose.flatMap(({ place, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target = '']) => ({ place, text: target }))
        .filter((link) => !/^[a-z]+:/.test(link.text)),
    );
  }

  /** How links name its headings. */
  get anchors(): string[] {
    return this.#prose.flatMap(({ text }) => {
      const [, heading] = /^#+ (.*)$/.exec(text) ?? [];
      if (heading === undefined) return [];
      const words = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '');
      return [words.trim().replaceAll(/\s/g, '-')];
    });
  }

  /** Rows of the table whose head begins with `head`, without head and rule. */
  table(head: string): string[][] {
    const [start] = this.#tableStarts(head);
    if (start === undefined) throw new Error(`${this.path} has no table with the head ${head}`);
    return this.#rowsAfter(start);
  }

  /** The rows of all tables with that head. */
  tables(head: string): string[][] {
    return this.#tableStarts(head).flatMap((start) => this.#rowsAfter(start));
  }

  #tableStarts(head: string): number[] {
    return this.#lines.flatMap((line, index) => (line.startsWith(`| ${head} |`) ? [index] : []));
  }

  #rowsAfter(start: number): string[][] {
    const rest = this.#lines.slice(start + 2);
    const end = rest.findIndex((line) => !line.startsWith('|'));
    return rest.slice(0, end === -1 ? undefined : end).map((line) => {
      return line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
    });
  }

  /** True when a link of this document leads somewhere. */
  resolves(target: string): boolean {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? this.path : join(dirname(this.path), path);
    if (!existsSync(join(ROOT, file))) return false;
    return anchor === undefined || new Document(file).anchors.includes(anchor);
  }

  get #prose(): TextAt[] {
    let isFenced = false;
    return this.#lines.flatMap((text, index) => {
      const isFence = /^\s*```/.test(text);
      if (isFence) isFenced = !isFenced;
      return isFenced || isFence ? [] : [{ place: `${this.path}:${index + 1}`, text }];
    });
  }
}

/** Every document that users and contributors read. */
export function readDocuments(): Document[] {
  const below = (folder: string): string[] =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((path) => path.endsWith('.md'));
  const atRoot = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const paths = [...atRoot, ...below('docs'), 'benchmarks/README.md'];
  return paths.filter((path) => existsSync(join(ROOT, path))).map((path) => new Document(path));
}

/** Files of the repository that have source code, from its root. */
export function sourceFiles(): string[] {
  return ['src', 'test', 'benchmarks', 'scripts', 'examples']
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true }).map((name) =>
        relative('.', join(folder, String(name))),
      ),
    );
}
