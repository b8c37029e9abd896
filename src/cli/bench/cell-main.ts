/** Entry of the process in which a cell is measured. @module */
import { measureCell } from './cell-measurement.ts';
import { answerTask } from './sample-entry.ts';

answerTask(measureCell);
