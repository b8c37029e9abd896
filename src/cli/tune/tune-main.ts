/** Entry of the process in which one sample of a setting is taken. @module */
import { answerTask } from '../bench/sample-entry.ts';
import { measureSetting } from './tune-measurement.ts';

answerTask(measureSetting);
