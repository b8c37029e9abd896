/** Filter + count at full speed. @module */
import { definePipeline } from 'millrace';
import { generatedLines } from './generated-lines.ts';
import { isSelected } from './generator-work.ts';

export default definePipeline({ name: 'filter-count' }, (ssc) => {
  generatedLines(ssc).filter(isSelected).count().print();
});
