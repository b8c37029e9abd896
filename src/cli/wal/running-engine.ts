/** Whether an engine works in a directory right now. Only looks: taking even a shared lock for a
 * moment could make an engine's start fail. @module */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { currentOwner, isAlive, parseOwner } from '../../driver/lock-owner.ts';
import type { LockOwner } from '../../driver/lock-owner.ts';
import { ownerFileHolder } from '../../driver/owner-file.ts';

/** True when a process holds the home's lock, whichever way it took it. Of a process in another
 * container nothing is known here, unless the kernel tells of its lock: false. Readers notice by
 * themselves when files change under them. */
export async function isEngineRunning(home: string): Promise<boolean> {
  try {
    const lock = await readLock(home);
    if (lock === undefined) return holdsOwnerFile(home);
    return lock.isHeld || isHere(parseOwner(lock.text)) || holdsOwnerFile(home);
  } catch {
    return false; // nobody may look: no lock of ours, or no /proc
  }
}

async function readLock(home: string): Promise<{ isHeld: boolean; text: string } | undefined> {
  const file = await open(join(home, 'LOCK'), 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { ino } = await file.stat();
    const locks = await readFile('/proc/locks', 'utf8').catch(() => '');
    const isOurs = (line: string): boolean => line.includes(`:${ino} `) && line.includes('FLOCK');
    return { isHeld: locks.split('\n').some(isOurs), text: await file.readFile('utf8') };
  } finally {
    await file.close();
  }
}

/** For where there is no `flock`. */
function holdsOwnerFile(home: string): boolean {
  const holder = ownerFileHolder(home);
  return holder?.kind === 'held' && isHere(holder.owner);
}

function isHere(owner: LockOwner | undefined): boolean {
  return owner !== undefined && owner.namespace === currentOwner().namespace && isAlive(owner);
}
