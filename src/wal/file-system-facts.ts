/** What the kernel says of the file system of a directory; file-system.ts says what it means.
 * @module */

export interface FileSystemFacts {
  /** `f_type` of statfs. */
  readonly magic: number;
  /** `st_dev` of the directory: equal for two directories of one file system. */
  readonly device: number;
}
