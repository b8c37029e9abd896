/** @module */
import { describe, expect, it } from 'vitest';
import { chooseMount, isVirtual, parseMountInfo } from './mount.ts';
import { diagnose } from './promise.ts';
import type { DiskFacts } from './promise.ts';
import { summary } from './sync-probe.ts';

const MOUNT_INFO = `22 1 254:0 / / rw,relatime - ext4 /dev/root rw,data=writeback
30 22 0:26 / /tmp rw,nosuid - tmpfs tmpfs rw,size=1024k
31 22 254:1 / /mnt/a\\040b rw - xfs /dev/vdb rw,nobarrier
`;
const MOUNTS = parseMountInfo(MOUNT_INFO);

describe('a mount', () => {
  it('is read with both lists of options and blanks in its path', () => {
    expect(MOUNTS[2]).toMatchObject({
      mountPoint: '/mnt/a b',
      type: 'xfs',
      options: ['rw', 'nobarrier'],
    });
  });

  it('is the innermost that holds the path', () => {
    expect(chooseMount(MOUNTS, '/tmp/x', '0:26')?.type).toBe('tmpfs');
    expect(chooseMount(MOUNTS, '/tmpx', '254:0')?.mountPoint).toBe('/');
    expect(chooseMount(MOUNTS, '/mnt/a b/c', '9:9')?.type).toBe('xfs');
  });
});

it('a virtual device is known by its name, because its flags say nothing', () => {
  const names = ['vda', 'vda1', 'xvdb', 'nbd0', 'loop3', 'sda', 'nvme0n1', 'dm-0'];
  expect(names.filter(isVirtual)).toEqual(['vda', 'vda1', 'xvdb', 'nbd0', 'loop3']);
});

function facts(given: Partial<DiskFacts>): DiskFacts {
  const [mount] = parseMountInfo('1 1 8:1 / / rw - ext4 /dev/sda1 rw');
  const device = { name: 'sda', writeCache: 'write back', hasFua: true, isRotational: false };
  const room = { freeBytes: 1e12, segmentBytes: 2 ** 26 };
  const base = { kind: 'local' as const, mount, device, supportsDirect: true, timings: [] };
  return { ...base, ...room, ...given };
}

describe('the promise', () => {
  it('depends on file system, cache and flushes', () => {
    expect(diagnose(facts({})).promise).toContain('honours the flush');
    expect(
      diagnose(facts({ device: { name: 'a', writeCache: 'write through' } })).promise,
    ).toContain('no volatile cache');
    expect(diagnose(facts({ kind: 'memory' })).promise).toContain('Nothing here survives a reboot');
    expect(diagnose(facts({ kind: 'network' })).promise).toContain('another machine');
    expect(diagnose(facts({ mount: MOUNTS[2] })).promise).toContain('flushes are off');
  });

  it('comes without warnings on a good disk, and with each that is due', () => {
    expect(diagnose(facts({})).warnings).toEqual([]);
    const times = { samples: 9, p50Ms: 1, maxMs: 30 };
    const slow = { way: 'fdatasync' as const, bytes: 4096, p99Ms: 11, ...times };
    expect(diagnose(facts({ timings: [slow] })).warnings).toEqual([
      expect.stringContaining('11 ms'),
    ]);
    expect(diagnose(facts({ freeBytes: 2 ** 26 })).warnings).toEqual([
      expect.stringContaining('less than two segments'),
    ]);
    expect(diagnose(facts({ mount: MOUNTS[0] })).warnings).toEqual([
      expect.stringContaining('data=writeback'),
    ]);
    expect(diagnose(facts({ mount: MOUNTS[2] })).warnings).toHaveLength(1);
  });

  it('comes with advice that fits the disk', () => {
    const timing = (p50Ms: number) => {
      const times = { samples: 9, p50Ms, p99Ms: p50Ms, maxMs: p50Ms };
      return [{ way: 'fdatasync' as const, bytes: 4096, ...times }];
    };
    const rotating = { name: 'sda', writeCache: 'write back', isRotational: true };
    const adviceOn = (given: Partial<DiskFacts>) => diagnose(facts(given)).advice;
    expect(adviceOn({ timings: timing(0.1), device: rotating })).toEqual([]);
    expect(adviceOn({ timings: timing(8), device: rotating })).toEqual([
      expect.stringContaining('8 ms'),
      expect.stringContaining('--block-interval'),
    ]);
    expect(adviceOn({ timings: timing(8) })).toHaveLength(1);
    expect(adviceOn({ supportsDirect: false })).toEqual([expect.stringContaining('O_DIRECT')]);
    expect(adviceOn({ kind: 'memory' })).toEqual([expect.stringContaining('local disk')]);
  });
});

it('timings are summed up by rank', () => {
  const samples = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(summary(samples)).toEqual({ p50Ms: 51, p99Ms: 100, maxMs: 100 });
  expect(summary([2])).toEqual({ p50Ms: 2, p99Ms: 2, maxMs: 2 });
});
