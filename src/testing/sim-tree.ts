/** The directories and files of the simulated disk, by path; what its calls do to them.
 *
 * Calls are atomic and give the errno that Linux gives. Directories are made durably; every other
 * change of names waits for the sync of its directory, or for what a power cut makes of it.
 * @module */
import type { Survival } from './crash-survival.ts';
import { SimDirectory } from './sim-directory.ts';
import type { NameChange, SimEntry } from './sim-directory.ts';
import { simError } from './sim-errors.ts';
import { SimInode } from './sim-inode.ts';

export class SimTree {
  readonly #sectorBytes: number;
  readonly #root: SimDirectory;
  #changeSeq = 0;

  constructor(sectorBytes: number, root: SimDirectory = new SimDirectory()) {
    this.#sectorBytes = sectorBytes;
    this.#root = root;
  }

  fork(): SimTree {
    const copy = new SimTree(this.#sectorBytes, this.#root.fork());
    copy.#changeSeq = this.#changeSeq;
    return copy;
  }

  /** @throws ENOTDIR when a part of the path in front of the last is a file. */
  find(path: string): SimEntry | undefined {
    let entry: SimEntry | undefined = this.#root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      if (entry === undefined) return undefined;
      if (entry instanceof SimInode) throw simError('ENOTDIR', 'open', path);
      entry = entry.current.get(name);
    }
    return entry;
  }

  file(path: string, call: string): SimInode {
    const entry = this.find(path);
    if (entry === undefined) throw simError('ENOENT', call, path);
    if (!(entry instanceof SimInode)) throw simError('EISDIR', call, path);
    return entry;
  }

  makeDirectory(path: string): void {
    let directory = this.#root;
    const parts = partsOf(path);
    for (const [index, name] of parts.entries()) {
      const found = directory.current.get(name);
      if (found instanceof SimInode) {
        if (index === parts.length - 1) return; // the real disk only asks whether it is there
        throw simError('ENOTDIR', 'mkdir', path);
      }
      const next = found ?? new SimDirectory();
      if (found === undefined) directory.addDurably(name, next);
      directory = next;
    }
  }

  create(path: string): SimInode {
    const { directory, name } = this.#parentOf(path, 'open');
    if (directory.current.has(name)) throw simError('EEXIST', 'open', path);
    const inode = new SimInode(this.#sectorBytes);
    directory.change({ seq: this.#nextSeq(), add: [name, inode] });
    return inode;
  }

  rename(from: string, to: string): void {
    const source = this.#parentOf(from, 'rename');
    const target = this.#parentOf(to, 'rename');
    const entry = source.directory.current.get(source.name);
    if (entry === undefined) throw simError('ENOENT', 'rename', from);
    if (to.startsWith(`${from}/`)) throw simError('EINVAL', 'rename', to);
    if (from.startsWith(`${to}/`)) throw simError('ENOTEMPTY', 'rename', to);
    const replaced = target.directory.current.get(target.name);
    if (replaced === entry) return;
    checkReplacement(entry, replaced, to);
    if (source.directory === target.directory) {
      const change = { remove: source.name, add: [target.name, entry] as const };
      source.directory.change({ seq: this.#nextSeq(), ...change });
      return;
    }
    target.directory.change({ seq: this.#nextSeq(), add: [target.name, entry] });
    source.directory.change({ seq: this.#nextSeq(), remove: source.name });
  }

  unlink(path: string): void {
    const entry = this.find(path);
    if (entry === undefined) return;
    if (!(entry instanceof SimInode)) throw simError('EISDIR', 'unlink', path);
    const { directory, name } = this.#parentOf(path, 'unlink');
    directory.change({ seq: this.#nextSeq(), remove: name });
  }

  /** What is inside goes first, so that a power cut may leave a half-empty directory. */
  removeTree(path: string): void {
    const entry = this.find(path);
    if (entry === undefined) return;
    if (entry instanceof SimDirectory) {
      for (const name of entry.current.keys()) this.removeTree(`${path}/${name}`);
    }
    const { directory, name } = this.#parentOf(path, 'rm');
    directory.change({ seq: this.#nextSeq(), remove: name });
  }

  /** Power cut. */
  crash(survival: Survival): void {
    const entries = this.#reachable();
    const directories = entries.filter((entry) => entry instanceof SimDirectory);
    const pending = this.#pendingChanges(directories);
    const isKept = survival.names(pending.length);
    const kept = new Set(pending.filter((_change, index) => isKept[index] === true));
    for (const directory of directories) directory.crash(kept);
    for (const entry of entries) if (entry instanceof SimInode) entry.crash(survival);
  }

  /** How many name changes and sectors a power cut would decide about. */
  pendingCounts(): { readonly names: number; readonly sectors: number } {
    const entries = this.#reachable();
    const directories = entries.filter((entry) => entry instanceof SimDirectory);
    const inodes = entries.filter((entry) => entry instanceof SimInode);
    return {
      names: this.#pendingChanges(directories).length,
      sectors: inodes.reduce((sum, inode) => sum + inode.pendingSectorCount, 0),
    };
  }

  /** Files that have a name now, with their paths. */
  linkedFiles(): Map<SimInode, string> {
    const found = new Map<SimInode, string>();
    const visit = (directory: SimDirectory, path: string): void => {
      for (const [name, entry] of directory.current) {
        if (entry instanceof SimInode) found.set(entry, `${path}/${name}`);
        else visit(entry, `${path}/${name}`);
      }
    };
    visit(this.#root, '');
    return found;
  }

  #parentOf(path: string, call: string): { directory: SimDirectory; name: string } {
    const cut = path.lastIndexOf('/');
    const directory = this.find(path.slice(0, cut));
    if (directory === undefined) throw simError('ENOENT', call, path);
    if (directory instanceof SimInode) throw simError('ENOTDIR', call, path);
    return { directory, name: path.slice(cut + 1) };
  }

  /** In an order that depends on the history alone. */
  #reachable(): SimEntry[] {
    const found = new Set<SimEntry>([this.#root]);
    for (const entry of found) {
      if (entry instanceof SimDirectory) for (const inner of entry.reachable()) found.add(inner);
    }
    return [...found];
  }

  #pendingChanges(directories: readonly SimDirectory[]): NameChange[] {
    const changes = directories.flatMap((directory) => directory.changes);
    return changes.toSorted((a, b) => a.seq - b.seq);
  }

  #nextSeq(): number {
    this.#changeSeq += 1;
    return this.#changeSeq;
  }
}

function checkReplacement(entry: SimEntry, replaced: SimEntry | undefined, to: string): void {
  if (replaced === undefined) return;
  const isFile = entry instanceof SimInode;
  if (isFile && replaced instanceof SimDirectory) throw simError('EISDIR', 'rename', to);
  if (!isFile && replaced instanceof SimInode) throw simError('ENOTDIR', 'rename', to);
  const isFull = replaced instanceof SimDirectory && replaced.current.size > 0;
  if (isFull) throw simError('ENOTEMPTY', 'rename', to);
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}
