/** What a start says and does about the file systems that its directories are on.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import { recogniseFileSystem } from '../wal/file-system.ts';
import type { StatFileSystem } from '../wal/file-system.ts';
import { statFileSystem } from '../wal/node-disk.ts';

export interface FileSystemRules {
  readonly allowNetworkFileSystem: boolean;
  readonly events: EventBus;
  /** @defaultValue the real one */
  readonly stat?: StatFileSystem;
}

/** Looks at all directories of a run, which exist.
 * @returns whether log segments grow by appending instead of being filled with zeros first.
 * @throws {MillraceError} OPTIONS_INVALID for a network file system that is not allowed. */
export async function checkFileSystems(
  directories: readonly string[],
  { allowNetworkFileSystem, events, stat = statFileSystem }: FileSystemRules,
): Promise<{ readonly isGrowing: boolean }> {
  const warn = (message: string): void => events.emit({ type: 'warning', message });
  let isGrowing = false;
  for (const directory of directories) {
    const { type, kind } = await recogniseFileSystem(directory, stat);
    if (kind === 'network' && !allowNetworkFileSystem) throw behindNetwork(directory, type);
    if (kind === 'network') warn(`${directory} is on ${type}: ${NETWORK_RISK}`);
    if (kind === 'memory') {
      warn(`${directory} is on ${type}, in memory: nothing in it survives a reboot or power cut`);
    }
    isGrowing ||= kind === 'copy-on-write';
  }
  const [first, second] = directories;
  if (first !== undefined && second !== undefined) {
    await warnOfOneDevice([first, second], 'takes both copies with it', { events, stat });
  }
  return { isGrowing };
}

const NETWORK_RISK =
  'a sync and a lock mean what its server makes of them, and "acknowledged" means no more';

/** Two directories of which one is to be there when the disk of the other fails.
 * @param loss what a disk that is lost does then. */
export async function warnOfOneDevice(
  [first, second]: readonly [string, string],
  loss: string,
  { events, stat = statFileSystem }: Pick<FileSystemRules, 'events' | 'stat'>,
): Promise<void> {
  const devices = [(await stat(first)).device, (await stat(second)).device];
  if (devices[0] !== devices[1]) return;
  const message = `${first} and ${second} are on the same file system: a disk that is lost ${loss}`;
  events.emit({ type: 'warning', message });
}

function behindNetwork(directory: string, type: string): MillraceError {
  return new MillraceError(
    'OPTIONS_INVALID',
    `${directory} is on a network file system (${type}): ${NETWORK_RISK}. Choose a directory ` +
      'on a local disk, or allow it with allowNetworkFileSystem (--allow-network-file-system)',
    { details: { directory, type } },
  );
}
