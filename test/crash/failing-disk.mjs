/** A disk that breaks: from the n-th call of one kind below one folder on, every such call fails.
 * Stands between the engine's driver and its real disk, in engine-child.mjs. @module */
import { MillraceError } from '../../dist/core/errors.js';

/** @param plan folder: part of a path; call: `sync` or `write`; after: calls that still succeed;
 *   as: `EIO`, `ENOSPC` or `short`, which writes a part and says so. */
export function failingDisk(disk, plan) {
  let calls = 0;
  const isDue = (path) => path.includes(plan.folder) && (calls += 1) > plan.after;
  const open = async (opening) => failingFile(await opening, plan, isDue);
  return {
    ...disk,
    create: (path, mode) => open(disk.create(path, mode)),
    open: (path, mode) => open(disk.open(path, mode)),
  };
}

function failingFile(file, plan, isDue) {
  const fail = (call) => {
    const code = plan.as === 'ENOSPC' ? 'DISK_FULL' : 'DISK_FAILED';
    throw new MillraceError(code, `${plan.as}: ${call} of ${file.path}, as the test wants it`);
  };
  return {
    get path() {
      return file.path;
    },
    async write(views, positionBytes) {
      if (plan.call !== 'write' || !isDue(file.path)) return file.write(views, positionBytes);
      if (plan.as !== 'short') return fail('write');
      const [first] = views;
      return file.write([first.subarray(0, first.byteLength - 1)], positionBytes);
    },
    async sync() {
      if (plan.call === 'sync' && isDue(file.path)) return fail('sync');
      return file.sync();
    },
    read: (into, positionBytes) => file.read(into, positionBytes),
    async syncAll() {
      if (plan.call === 'sync' && isDue(file.path)) return fail('sync');
      return file.syncAll();
    },
    sizeBytes: () => file.sizeBytes(),
    close: () => file.close(),
  };
}
