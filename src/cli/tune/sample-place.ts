/** Where samples are taken unless the user says: on the disk of the checkpoint directory, and not
 * inside it where that can be helped: what a killed run leaves would lie among an engine's files.
 * @module */
import { realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isDirectory, mayAccess } from '../path-access.ts';

/** @param checkpointDir need not exist. @returns an existing directory. */
export function samplePlace(checkpointDir: string | false): string {
  if (checkpointDir === false) return resolve('.');
  const wanted = resolve(checkpointDir);
  const nearest = nearestDirectory(wanted);
  if (nearest !== wanted) return nearest;
  const parent = dirname(realpathSync(wanted));
  // A mount point, or a directory that an administrator has made for this user.
  return isOnOneDisk(wanted, parent) && mayAccess(parent, 'write') ? parent : wanted;
}

function nearestDirectory(path: string): string {
  return isDirectory(path) || dirname(path) === path ? path : nearestDirectory(dirname(path));
}

function isOnOneDisk(one: string, other: string): boolean {
  return statSync(one).dev === statSync(other).dev;
}
