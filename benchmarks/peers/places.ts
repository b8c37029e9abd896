/** Where the peers' sources are, and where what is built of them goes. @module */
import { fileURLToPath } from 'node:url';

/** This folder, with the sources of the peers. */
export const FOLDER = fileURLToPath(new URL('./', import.meta.url));
/** Not in git; may be deleted at any time, and is then filled again. */
export const CACHE = fileURLToPath(new URL('../../.cache/peers/', import.meta.url));
export const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));
