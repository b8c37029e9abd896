/** What kind of file system a directory is on, as far as a log's promise depends on it.
 *
 * Read off the magic number that statfs gives (linux/magic.h and the makers' own headers); numbers
 * that are not listed, and other systems than Linux, are `unknown` and treated as local.
 * @module */
import type { FileSystemFacts } from './file-system-facts.ts';
import { statFileSystem } from './node-disk.ts';

/** `copy-on-write`: overwriting in place allocates anew, so zero-filled and recycled files cost and
 * bring nothing. `memory`: gone with a reboot. `network`: what a sync and a lock mean is up to a
 * server; a file system of user space (FUSE) counts as one, because nobody can tell. */
export type FileSystemKind = 'local' | 'copy-on-write' | 'memory' | 'network' | 'unknown';

export interface FileSystem {
  /** Such as `ext4`; the magic number in hexadecimal when it is not known. */
  readonly type: string;
  readonly kind: FileSystemKind;
}

export type StatFileSystem = (directory: string) => Promise<FileSystemFacts>;

const KNOWN: ReadonlyMap<number, readonly [type: string, kind: FileSystemKind]> = new Map([
  [0xef53, ['ext4', 'local']], // ext2 and ext3 have the same number
  [0x5846_5342, ['xfs', 'local']],
  [0xf2f5_2010, ['f2fs', 'local']],
  [0x3153_464a, ['jfs', 'local']],
  [0x5265_4973, ['reiserfs', 'local']],
  [0x7366_746e, ['ntfs3', 'local']],
  [0x2011_bab0, ['exfat', 'local']],
  [0x4d44, ['vfat', 'local']],
  [0x9123_683e, ['btrfs', 'copy-on-write']],
  [0x2fc1_2fc1, ['zfs', 'copy-on-write']],
  [0xca45_1a4e, ['bcachefs', 'copy-on-write']],
  [0x3434, ['nilfs2', 'copy-on-write']],
  [0x0102_1994, ['tmpfs', 'memory']],
  [0x8584_58f6, ['ramfs', 'memory']],
  [0x6969, ['nfs', 'network']],
  [0x517b, ['smb', 'network']],
  [0xff53_4d42, ['cifs', 'network']],
  [0xfe53_4d42, ['smb2', 'network']],
  [0x6573_5546, ['fuse', 'network']], // virtiofs too
  [0x0102_1997, ['9p', 'network']],
  [0x00c3_6400, ['ceph', 'network']],
  [0x5346_414f, ['afs', 'network']],
  [0x6b41_4653, ['kafs', 'network']],
  [0x7375_7245, ['coda', 'network']],
  [0x0bd0_0bd0, ['lustre', 'network']],
  [0x4750_4653, ['gpfs', 'network']],
  [0x0116_1970, ['gfs2', 'network']],
  [0x7461_636f, ['ocfs2', 'network']],
  [0x786f_4256, ['vboxsf', 'network']],
  [0x794c_7630, ['overlayfs', 'unknown']], // what is below it decides, and does not show
]);

/** Of an existing directory. @param stat the real one unless a test gives another.
 * @throws {MillraceError} DISK_FAILED. */
export async function recogniseFileSystem(
  directory: string,
  stat: StatFileSystem = statFileSystem,
): Promise<FileSystem> {
  const { magic } = await stat(directory);
  const number = magic >>> 0; // some kernels give it with a sign
  const [type, kind] = KNOWN.get(number) ?? [`0x${number.toString(16)}`, 'unknown'];
  return { type, kind };
}
