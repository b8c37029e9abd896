/** Filter + count of which the filter drops nothing. @module */
import { definePipeline } from 'millrace';
import { generatedLines } from './generated-lines.ts';
import { isText } from './generator-work.ts';

export default definePipeline({ name: 'count' }, (ssc) => {
  generatedLines(ssc).filter(isText).count().print();
});
