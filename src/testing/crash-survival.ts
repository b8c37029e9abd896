/** What a power cut leaves of that which was not synced: chosen by chance, or named one by one.
 *
 *     sector     old ─► version 1 ─► … ─► version n        any of them, or a torn mix, survives
 *     names      change 1, change 2, …                     a prefix (a journal), or any subset
 *     length     as synced … as written                    a file may be long without its data
 *
 * A sector that was synced and not written since is never asked about: it stays as it is.
 * @module */
import type { Random } from '../core/random.ts';

/** `journal`: name changes of the whole disk survive as a prefix, as on ext4. `posix`: any subset.
 * `keep-all`, `drop-all`: everything, or nothing, that was not synced. */
export type CrashModel = 'journal' | 'posix' | 'keep-all' | 'drop-all';

export interface Survival {
  /** @param count pending name changes of the whole disk, oldest first.
   * @returns for each, whether it is on the device. Asked first, and once. */
  names(count: number): readonly boolean[];
  /** Length of a file that is longer than when it was synced. */
  lengthOf(durableBytes: number, cachedBytes: number): number;
  /** Content of a sector that was written since it was synced.
   * @param versions whole sectors: as synced, then after each write; not to be changed. */
  sector(versions: readonly Uint8Array[]): Uint8Array;
}

/** Draws every choice from `random`. */
export function randomSurvival(random: Random, model: CrashModel): Survival {
  if (model === 'keep-all' || model === 'drop-all') {
    const isKept = model === 'keep-all';
    return {
      names: (count) => new Array<boolean>(count).fill(isKept),
      lengthOf: (durableBytes, cachedBytes) => (isKept ? cachedBytes : durableBytes),
      sector: (versions) => versionAt(versions, isKept ? versions.length - 1 : 0),
    };
  }
  return {
    names(count) {
      const cut = Math.floor(random.next() * (count + 1));
      return Array.from({ length: count }, (_, index) =>
        model === 'journal' ? index < cut : random.next() < 0.5,
      );
    },
    lengthOf: (durableBytes, cachedBytes) => (random.next() < 0.5 ? cachedBytes : durableBytes),
    sector(versions) {
      const chance = random.next();
      if (chance < 0.4) return versionAt(versions, versions.length - 1);
      return chance < 0.8 ? versionAt(versions, 0) : tear(versions, random);
    },
  };
}

/** Choices by number, for going through all of them. Every file has its full length: data that is
 * missing behind it then reads as zeros, which is the harder case. */
export function chosenSurvival(choice: {
  readonly names: readonly boolean[];
  /** Per pending sector, in the order in which the disk asks: does its newest version survive? */
  readonly sectors: readonly boolean[];
}): Survival {
  let asked = 0;
  return {
    names: () => choice.names,
    lengthOf: (_durableBytes, cachedBytes) => cachedBytes,
    sector(versions) {
      const isKept = choice.sectors[asked] === true;
      asked += 1;
      return versionAt(versions, isKept ? versions.length - 1 : 0);
    },
  };
}

/** A sector whose write was under way: half old, half new, either way round; an older version;
 * zeros or garbage behind a new beginning. */
function tear(versions: readonly Uint8Array[], random: Random): Uint8Array {
  const fresh = versionAt(versions, versions.length - 1);
  const old = versionAt(versions, Math.floor(random.next() * (versions.length - 1)));
  const cut = Math.floor(random.next() * (fresh.byteLength + 1));
  const torn = fresh.slice();
  const shape = Math.floor(random.next() * 5);
  if (shape === 0) torn.set(old.subarray(cut), cut);
  else if (shape === 1) torn.set(old.subarray(0, cut), 0);
  else if (shape === 2) torn.fill(0, cut);
  else if (shape === 3) fillGarbage(torn.subarray(cut), random);
  else torn.set(old, 0); // of a sector written twice, this may be the version in the middle
  return torn;
}

function fillGarbage(bytes: Uint8Array, random: Random): void {
  for (let at = 0; at < bytes.byteLength; at += 1) bytes[at] = random.next() * 256;
}

function versionAt(versions: readonly Uint8Array[], index: number): Uint8Array {
  const version = versions[index];
  if (version === undefined) throw new RangeError(`a sector has no version ${index}`);
  return version;
}
