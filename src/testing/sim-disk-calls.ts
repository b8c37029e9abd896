/** A simulated disk whose calls take their time: each call takes effect at once or only when its
 * answer comes, as the seed decides, and in the order of one disk thread. So a crash may come
 * before a call, and between its effect and its answer. @module */
import type { Disk, DiskFile } from '../wal/disk.ts';
import type { Lane, SimScheduler } from './sim-scheduler.ts';

type Turn = <T>(label: string, call: () => Promise<T>) => Promise<T>;

/** @param lane of the disk thread. @param shown a path as traces show it. */
export function slowDisk(
  disk: Disk,
  {
    scheduler,
    lane,
    shown,
  }: {
    readonly scheduler: SimScheduler;
    readonly lane: Lane;
    readonly shown: (path: string) => string;
  },
): Disk {
  const turn: Turn = (label, call) =>
    new Promise((resolve, reject) => {
      // Only the oldest call of a thread can be under way.
      const isDone = lane.events.length === 0 && scheduler.chance(0.5);
      const done = isDone ? call() : undefined;
      done?.catch(() => undefined); // told when its turn comes
      scheduler.postEvent(lane, {
        label,
        act: () => void (done ?? call()).then(resolve, reject),
        effect: () => {
          if (done === undefined) call().catch(() => undefined); // nobody is left to be told
        },
      });
    });
  const file = (opened: DiskFile): DiskFile => slowFile(opened, turn, shown(opened.path));
  return {
    makeDirectory: (path) => turn(`mkdir ${shown(path)}`, () => disk.makeDirectory(path)),
    list: (path) => turn(`list ${shown(path)}`, () => disk.list(path)),
    syncDirectory: (path) => turn(`sync ${shown(path)}/`, () => disk.syncDirectory(path)),
    create: async (path, mode) =>
      file(await turn(`create ${shown(path)}`, () => disk.create(path, mode))),
    open: async (path, mode) =>
      file(await turn(`open ${shown(path)}`, () => disk.open(path, mode))),
    openForReading: async (path, mode) =>
      file(await turn(`open ${shown(path)}`, () => disk.openForReading(path, mode))),
    readWhole: (path, bytesMax) =>
      turn(`read ${shown(path)}`, () => disk.readWhole(path, bytesMax)),
    rename: (from, to) =>
      turn(`rename ${shown(from)} to ${shown(to)}`, () => disk.rename(from, to)),
    unlink: (path) => turn(`unlink ${shown(path)}`, () => disk.unlink(path)),
    removeTree: (path) => turn(`remove ${shown(path)}`, () => disk.removeTree(path)),
    supportsDirect: () => Promise.resolve(true),
    allocateAligned: (bytes) => disk.allocateAligned(bytes),
  };
}

function slowFile(opened: DiskFile, turn: Turn, name: string): DiskFile {
  return {
    path: opened.path,
    write: (views, at) => turn(`write ${name} at ${at}`, () => opened.write(views, at)),
    read: (into, at) => turn(`read ${name} at ${at}`, () => opened.read(into, at)),
    sync: () => turn(`sync ${name}`, () => opened.sync()),
    syncAll: () => turn(`sync ${name}`, () => opened.syncAll()),
    sizeBytes: () => turn(`size of ${name}`, () => opened.sizeBytes()),
    close: () => turn(`close ${name}`, () => opened.close()),
  };
}
