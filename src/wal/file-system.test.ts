/** @module */
import { describe, expect, it } from 'vitest';
import { recogniseFileSystem } from './file-system.ts';

const of = (magic: number) =>
  recogniseFileSystem('/somewhere', () => Promise.resolve({ magic, device: 1 }));

describe('the file system of a directory', () => {
  it.each([
    [0xef53, 'ext4', 'local'],
    [0x58465342, 'xfs', 'local'],
    [0x9123683e, 'btrfs', 'copy-on-write'],
    [0x2fc12fc1, 'zfs', 'copy-on-write'],
    [0xca451a4e, 'bcachefs', 'copy-on-write'],
    [0x01021994, 'tmpfs', 'memory'],
    [0x858458f6, 'ramfs', 'memory'],
    [0x6969, 'nfs', 'network'],
    [0x517b, 'smb', 'network'],
    [0xff534d42, 'cifs', 'network'],
    [0x65735546, 'fuse', 'network'],
    [0x01021997, '9p', 'network'],
    [0x00c36400, 'ceph', 'network'],
    [0x794c7630, 'overlayfs', 'unknown'],
    [0x1234, '0x1234', 'unknown'],
  ] as const)('with number 0x%s is %s: %s', async (magic, type, kind) => {
    expect(await of(magic)).toEqual({ type, kind });
  });

  it('is known too where the kernel gives the number with a sign', async () => {
    expect(await of(0x9123683e | 0)).toEqual({ type: 'btrfs', kind: 'copy-on-write' });
    expect(await of(0xff534d42 | 0)).toEqual({ type: 'cifs', kind: 'network' });
  });

  it('is asked from the kernel', async () => {
    const found = await recogniseFileSystem(process.cwd());
    expect(found.type).not.toBe('');
    await expect(recogniseFileSystem('/no/such/directory')).rejects.toMatchObject({
      code: 'DISK_FAILED',
    });
  });
});
