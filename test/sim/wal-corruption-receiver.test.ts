/** Half of a million harmed logs: a receiver log, its blocks in slots. The other half:
 * wal-corruption-driver.test.ts.
 *
 * Each time the whole log is read and judged. Nothing that a witness knows may be lost in silence,
 * no torn write may be called damage, nothing may come out that was not put in, and no memory may
 * be taken that the files do not have. How a failure is done again: corruption-run.ts.
 * @module */
import { describeCorruption } from '../support/corruption-suite.ts';
import { receiverLogSample } from '../support/log-samples.ts';

describeCorruption('a receiver log', receiverLogSample);
