/** Engines that find no `flock`, and lock by owner files. @module */

/** Command before that of the engine: node itself is started by its full path. */
export const WITHOUT_FLOCK: readonly string[] = ['env', 'PATH=/nonexistent'];
