/** Which mount a directory lies on, and the block device under it, as Linux tells in /proc, /sys.
 * Elsewhere, and where a container hides them, what is not known is left out. @module */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Mount {
  readonly mountPoint: string;
  /** As the kernel names it: `ext4`, `btrfs`, `nfs4`, `tmpfs`. */
  readonly type: string;
  readonly source: string;
  /** Of the mount and of the file system, together. */
  readonly options: readonly string[];
  /** `major:minor`. */
  readonly device: string;
}

export interface BlockDevice {
  readonly name: string;
  /** `write back`: the device has a cache and wants flushes. `write through`: it has none. */
  readonly writeCache?: string;
  /** Whether it can write one request past its cache. */
  readonly hasFua?: boolean;
  /** Absent of a virtual device: what is under it, its flag does not tell. */
  readonly isRotational?: boolean;
}

/** virtio, Xen, network and loop devices. */
const VIRTUAL = /^(?:vd|xvd|nbd|rbd|loop)/;

/** @returns `undefined` where the kernel does not tell. */
export async function findMount(directory: string): Promise<Mount | undefined> {
  const text = await readText('/proc/self/mountinfo');
  if (text === undefined) return undefined;
  const { dev } = await stat(directory);
  return chooseMount(parseMountInfo(text), await realpath(directory), deviceText(dev));
}

/** The innermost mount that holds `path`, of the right device where one has it; of two on one
 * place, the later one, which hides the other. Btrfs gives its files other devices than its
 * mount. */
export function chooseMount(
  mounts: readonly Mount[],
  path: string,
  device: string,
): Mount | undefined {
  const holding = mounts.filter(({ mountPoint }) => isWithin(path, mountPoint));
  const ofDevice = holding.filter((mount) => mount.device === device);
  const candidates = ofDevice.length > 0 ? ofDevice : holding;
  const longest = Math.max(...candidates.map(({ mountPoint }) => mountPoint.length));
  return candidates.findLast(({ mountPoint }) => mountPoint.length === longest);
}

/** Lines of /proc/self/mountinfo, see proc(5). */
export function parseMountInfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , device, , mountPoint, options = ''] = before.split(' ');
    const [type, source = '', superOptions = ''] = after.split(' ');
    if (device === undefined || mountPoint === undefined || type === undefined) return [];
    const all = [...options.split(','), ...superOptions.split(',')].filter(Boolean);
    return [{ mountPoint: unescape(mountPoint), type, source, options: [...new Set(all)], device }];
  });
}

/** @returns `undefined` for what has no block device: memory, network, overlays. */
export async function findDevice(mount: Mount): Promise<BlockDevice | undefined> {
  const node = await realpath(join('/sys/dev/block', mount.device)).catch(() => undefined);
  if (node === undefined) return undefined;
  // A partition has no queue of its own; its disk, one level up, has.
  for (const place of [node, dirname(node)]) {
    const writeCache = await readText(join(place, 'queue/write_cache'));
    if (writeCache === undefined) continue;
    const fua = await readText(join(place, 'queue/fua'));
    const name = place.slice(place.lastIndexOf('/') + 1);
    const rotational = isVirtual(name)
      ? undefined
      : await readText(join(place, 'queue/rotational'));
    return {
      name,
      writeCache: writeCache.trim(),
      ...(fua === undefined ? {} : { hasFua: fua.trim() === '1' }),
      ...(rotational === undefined ? {} : { isRotational: rotational.trim() === '1' }),
    };
  }
  return { name: node.slice(node.lastIndexOf('/') + 1) };
}

export function isVirtual(name: string): boolean {
  return VIRTUAL.test(name);
}

function isWithin(path: string, mountPoint: string): boolean {
  return path === mountPoint || path.startsWith(mountPoint === '/' ? '/' : `${mountPoint}/`);
}

/** As the C library splits a device number. */
function deviceText(dev: number): string {
  const bits = BigInt(dev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Blanks and backslashes are octal there. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCodePoint(Number.parseInt(octal, 8)),
  );
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
