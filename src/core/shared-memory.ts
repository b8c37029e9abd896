/** Page-aligned memory, which is what direct I/O (O_DIRECT) needs and a plain ArrayBuffer is not.
 *
 * The buffer of a WebAssembly.Memory starts on a page of the machine and never moves as long as the
 * memory is never grown; both functions fix its size at creation. Each memory reserves gigabytes of
 * ADDRESS SPACE (guard pages), not of storage: make few large ones and divide them.
 * Node's types have no WebAssembly without the DOM library, hence the declaration here.
 * @module */
import { assert } from './assert.ts';

declare const WebAssembly: {
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared?: boolean;
  }) => { readonly buffer: ArrayBuffer | SharedArrayBuffer };
};

/** Sizes are rounded up to this: the page of WebAssembly. */
export const MEMORY_PAGE_BYTES: number = 64 * 1024;

/** The largest memory that can be asked for: 65,536 pages. */
const MEMORY_BYTES_MAX = 4 * 1024 * 1024 * 1024;

/** Zero-filled, page-aligned memory of this thread. It cannot be transferred to another one.
 * @param bytes 1 to 4 GiB; the buffer is that, rounded up to MEMORY_PAGE_BYTES. */
export function allocatePages(bytes: number): ArrayBuffer {
  const pages = pagesOf(bytes);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  assert(buffer instanceof ArrayBuffer, 'a private WebAssembly.Memory gave a shared buffer');
  return buffer;
}

/** As `allocatePages`, but shared: post the buffer to other threads and they see the same bytes. */
export function allocateSharedPages(bytes: number): SharedArrayBuffer {
  const pages = pagesOf(bytes);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  assert(buffer instanceof SharedArrayBuffer, 'a shared WebAssembly.Memory gave a private buffer');
  return buffer;
}

function pagesOf(bytes: number): number {
  assert(bytes > 0 && bytes <= MEMORY_BYTES_MAX, `${bytes} bytes of memory cannot be allocated`);
  return Math.ceil(bytes / MEMORY_PAGE_BYTES);
}
