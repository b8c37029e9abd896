/** What simulated machines are made of beside disk and clock: names, and memory that is used again.
 * @module */
import type { SimScheduler } from './sim-scheduler.ts';

const memories = new Map<number, SharedArrayBuffer>();

/** Empty memory, one of each size for all simulations of the process: they come one after the
 * other, and new memory is dear. */
export function memoryOf(bytes: number): SharedArrayBuffer {
  const memory = memories.get(bytes) ?? new SharedArrayBuffer(bytes);
  memories.set(bytes, memory);
  new Uint8Array(memory).fill(0);
  return memory;
}

/** Names that nothing else of the simulation has, 32 hexadecimal digits, from its seed. */
export function namesFrom(scheduler: SimScheduler): () => string {
  const part = (): string =>
    scheduler
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return () => Array.from({ length: 4 }, part).join('');
}
