/** Where a measurement's report goes: a table or JSON on standard output, and files. @module */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MillraceError, toError } from '../../core/errors.ts';
import { recogniseFileSystem } from '../../wal/file-system.ts';
import type { StatFileSystem } from '../../wal/file-system.ts';
import type { CliIo } from '../io.ts';
import { isDirectory, mayAccess } from '../path-access.ts';

export interface ReportFiles {
  /** `-`: standard output, instead of the text. */
  readonly json: string | undefined;
  readonly html: string | undefined;
}

/** What is wrong with the places of the files, before anything is measured. */
export function fileProblems({ json, html }: ReportFiles): string[] {
  const problems: string[] = [];
  for (const [flag, path] of Object.entries({ '--json': json, '--html': html })) {
    if (path === undefined || path === '-') continue;
    const folder = dirname(resolve(path));
    if (!isDirectory(folder)) problems.push(`${flag} ${path}: there is no directory ${folder}`);
    else if (isDirectory(resolve(path))) problems.push(`${flag} ${path} is a directory`);
    else {
      const touched = existsSync(path) ? resolve(path) : folder;
      if (!mayAccess(touched, 'write'))
        problems.push(`${flag} ${path}: ${touched} cannot be written`);
    }
  }
  return problems;
}

/** What is wrong with a directory in which logs are to be measured.
 * @param rules `stat`: the real one unless a test gives another. */
export async function diskProblems(
  directory: string,
  {
    allowNetworkFileSystem = false,
    stat,
  }: { readonly allowNetworkFileSystem?: boolean; readonly stat?: StatFileSystem } = {},
): Promise<string[]> {
  if (!isDirectory(directory)) return [`there is no directory ${directory}`];
  const { kind, type } = await recogniseFileSystem(directory, stat);
  if (kind !== 'network' || allowNetworkFileSystem) return [];
  return [
    `${directory} is on ${type}, behind a network, where a run refuses to put its log: ` +
      'choose a directory on a local disk',
  ];
}

export interface ReportForms {
  /** Plain data, for JSON. */
  readonly value: object;
  readonly text: () => string;
  readonly page: () => string;
}

/** @throws {MillraceError} DISK_FAILED when a file cannot be written; the text is out then. */
export function writeReport(
  io: CliIo,
  { json, html }: ReportFiles,
  { value, text, page }: ReportForms,
): void {
  const jsonText = `${JSON.stringify(value, shortNumber)}\n`;
  io.out(json === '-' ? jsonText : text());
  try {
    if (json !== undefined && json !== '-') writeFileSync(json, jsonText);
    if (html !== undefined) writeFileSync(html, page());
  } catch (cause) {
    const { message } = toError(cause);
    throw new MillraceError('DISK_FAILED', `the report cannot be written: ${message}`, { cause });
  }
}

/** Six digits are more than any clock here is worth. */
function shortNumber(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value;
}
