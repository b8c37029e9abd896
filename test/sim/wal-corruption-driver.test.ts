/** Half of a million harmed logs: a driver log, its events in groups. The other half:
 * wal-corruption-receiver.test.ts, which says what has to hold.
 * @module */
import { describeCorruption } from '../support/corruption-suite.ts';
import { driverLogSample } from '../support/log-samples.ts';

describeCorruption('a driver log', driverLogSample);
