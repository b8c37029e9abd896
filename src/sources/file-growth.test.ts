import { expect, it } from 'vitest';
import type { FileShare } from '../dstream/task-spec.ts';
import { FileGrowth } from './file-growth.ts';
import { fileIdentity } from './text-files.ts';

function share(path: string, sizeBytes: number): FileShare {
  return { path, sizeBytes, mtimeMs: 5, birthtimeMs: 5, inode: path.length };
}

it('tells once of each growth of a file that was taken, and of nothing else', () => {
  const told: string[] = [];
  const growth = new FileGrowth((message) => told.push(message));
  const taken = new Set([fileIdentity(share('/in/a', 0))]);
  growth.check([share('/in/a', 10), share('/in/bb', 10)], new Set());
  growth.check([share('/in/a', 10), share('/in/bb', 20)], taken);
  expect(told).toEqual([]);
  growth.check([share('/in/a', 15), share('/in/bb', 20)], taken);
  growth.check([share('/in/a', 15), share('/in/bb', 20)], taken);
  expect(told).toEqual([expect.stringContaining('/in/a went from 10 to 15 bytes')]);
});

it('forgets a file that is gone', () => {
  const told: string[] = [];
  const growth = new FileGrowth((message) => told.push(message));
  const taken = new Set([fileIdentity(share('/in/a', 0))]);
  growth.check([share('/in/a', 10)], taken);
  growth.check([], taken);
  growth.check([share('/in/a', 99)], taken);
  expect(told).toEqual([]);
});
