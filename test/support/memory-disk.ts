/** The simulated disk under its former name. It lives in src/testing/. @module */
export { SimDisk as MemoryDisk } from '../../src/testing/sim-disk.ts';
export type { CrashModel } from '../../src/testing/crash-survival.ts';
