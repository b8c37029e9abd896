/** The simulated disk as one process sees it. After its death none of its calls settles, not even
 * those that it had not made yet. Its calls are properties of its own, so that a test may spread it
 * and replace some of them. @module */
import { join } from 'node:path';
import { MillraceError } from '../core/errors.ts';
import type { Disk } from '../wal/disk.ts';
import type { CallKind } from './fault-plan.ts';
import { SimDirectory } from './sim-directory.ts';
import { simError } from './sim-errors.ts';
import { SimFile, errnoOf } from './sim-file.ts';
import type { OpenedFile, SimMachine } from './sim-file.ts';
import { SimInode } from './sim-inode.ts';
import type { SimTree } from './sim-tree.ts';

export class SimProcess implements Disk {
  readonly #machine: SimMachine;
  readonly #tree: SimTree;
  readonly #life: number;

  constructor(machine: SimMachine, tree: SimTree, life: number) {
    this.#machine = machine;
    this.#tree = tree;
    this.#life = life;
  }

  readonly makeDirectory: Disk['makeDirectory'] = (path) => {
    return this.#call('makeDirectory', path, () => this.#tree.makeDirectory(path));
  };

  readonly list: Disk['list'] = (directory) => {
    return this.#call('list', directory, () => {
      const found = this.#tree.find(directory);
      if (found instanceof SimInode) throw simError('ENOTDIR', 'readdir', directory);
      return found === undefined ? undefined : [...found.current.keys()].toSorted();
    });
  };

  readonly syncDirectory: Disk['syncDirectory'] = (path) => {
    return this.#call('syncDirectory', path, () => {
      const found = this.#tree.find(path);
      if (found === undefined) throw simError('ENOENT', 'open', path);
      found.sync();
    });
  };

  readonly create: Disk['create'] = (path, mode) => {
    return this.#call('create', path, () =>
      this.#opened({ inode: this.#tree.create(path), path, mode, isWritable: true }),
    );
  };

  readonly open: Disk['open'] = (path, mode) => {
    return this.#call('open', path, () => {
      const inode = this.#tree.file(path, 'open');
      return this.#opened({ inode, path, mode, isWritable: true });
    });
  };

  readonly openForReading: Disk['openForReading'] = (path, mode = 'buffered') => {
    return this.#call('open', path, () => {
      const inode = this.#tree.file(path, 'open');
      return this.#opened({ inode, path, mode, isWritable: false });
    });
  };

  readonly readWhole: Disk['readWhole'] = async (path, bytesMax) => {
    const inode = await this.#call('open', path, () => {
      const found = this.#tree.find(path);
      if (found instanceof SimDirectory) throw simError('EISDIR', 'read', path);
      return found;
    });
    if (inode === undefined) return undefined;
    const file = this.#opened({ inode, path, mode: 'buffered', isWritable: false });
    const { sizeBytes } = inode;
    if (sizeBytes > bytesMax) {
      const details = { path, call: 'read', sizeBytes, bytesMax };
      throw new MillraceError('DISK_FAILED', `${path} has ${sizeBytes} bytes`, { details });
    }
    const bytes = new Uint8Array(sizeBytes);
    return bytes.subarray(0, await file.read(bytes, 0));
  };

  readonly rename: Disk['rename'] = (from, to) => {
    return this.#call('rename', from, () => this.#tree.rename(from, to));
  };

  readonly unlink: Disk['unlink'] = (path) => {
    return this.#call('unlink', path, () => this.#tree.unlink(path));
  };

  readonly removeTree: Disk['removeTree'] = (path) => {
    return this.#call('unlink', path, () => this.#tree.removeTree(path));
  };

  /** Tries it with a file, as the real disk does: some calls of which a crash can be one. */
  readonly supportsDirect: Disk['supportsDirect'] = async (directory) => {
    const path = join(directory, `.direct-probe-${this.#life}.tmp`);
    const file = await this.create(path, 'direct');
    await file.close();
    await this.unlink(path);
    return true;
  };

  readonly allocateAligned: Disk['allocateAligned'] = (bytes) => {
    return new Uint8Array(bytes);
  };

  #opened(opened: Omit<OpenedFile, 'life'>): SimFile {
    return new SimFile(this.#machine, { ...opened, life: this.#life });
  }

  /** A call that either happens as a whole or fails as a whole. */
  #call<T>(kind: CallKind, path: string, act: () => T): Promise<T> {
    return this.#machine.call({ kind, path, life: this.#life }, (fault) => {
      if (fault === undefined) return act();
      throw simError(errnoOf(fault), kind, path);
    });
  }
}
