import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { StatFileSystem } from '../../wal/file-system.ts';
import { diskProblems, fileProblems } from './report-files.ts';

const NFS = 0x6969;

it('refuses a disk behind a network, unless that is allowed', async () => {
  const stat: StatFileSystem = () => Promise.resolve({ magic: NFS, device: 1 });
  expect(await diskProblems(tmpdir(), { stat })).toEqual([expect.stringContaining('is on nfs')]);
  expect(await diskProblems(tmpdir(), { stat, allowNetworkFileSystem: true })).toEqual([]);
});

it('looks at the places of reports before there is anything to report', () => {
  const gone = join(tmpdir(), 'not', 'there.json');
  expect(fileProblems({ json: gone, html: tmpdir() })).toEqual([
    expect.stringContaining('there is no directory'),
    expect.stringContaining('is a directory'),
  ]);
  expect(fileProblems({ json: '-', html: undefined })).toEqual([]);
});
