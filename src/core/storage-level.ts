/** Where blocks wait until their batch has run. Names as in Spark, which has more of them because
 * its memory belongs to executors: docs/storage-levels.md. @module */

/** `memory`: in the arena only; a full one holds the sources back. `memory-and-disk`: in the arena
 * while there is room, else read back from the log. `disk`: in the arena only until they are in the
 * log. */
export type StorageLevel = 'memory' | 'memory-and-disk' | 'disk';

export const STORAGE_LEVELS: readonly StorageLevel[] = ['memory', 'memory-and-disk', 'disk'];
