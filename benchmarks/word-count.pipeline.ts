/** Word count at full speed. @module */
import { definePipeline } from 'millrace';
import { generatedLines } from './generated-lines.ts';
import { printWordSums } from './word-sums.ts';

export default definePipeline({ name: 'word-count' }, (ssc) => {
  printWordSums(generatedLines(ssc));
});
