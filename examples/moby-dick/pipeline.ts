/** Word count over HTTP: what `npm start` runs, kills, and starts again.
 *
 *   millrace run examples/moby-dick/pipeline.ts
 *   curl --data-binary @some-text.txt http://127.0.0.1:18080/
 *
 * Every thread imports this file and must see the same graph, so nothing here depends on the
 * environment; run.ts works on a copy with another port where this one is taken.
 * @module */
import { definePipeline, milliseconds } from 'millrace';

export default definePipeline(
  { name: 'moby-dick', batchInterval: milliseconds(500), blockInterval: milliseconds(50) },
  (ssc) => {
    const lines = ssc.httpTextStream({ port: 18080 });
    lines
      .flatMap((line) => line.split(/\s+/).filter((word) => word !== ''))
      .mapToPair((word) => [word, 1])
      .reduceByKey((a, b) => a + b)
      .saveAsTextFiles('out/words');
    lines.count().saveAsTextFiles('out/lines');
  },
);
