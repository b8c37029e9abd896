/** The manual clock that users get, under the name that the project's own tests have for it.
 * @module */
export { ManualClock } from '../../src/testing/kit/manual-clock.ts';
