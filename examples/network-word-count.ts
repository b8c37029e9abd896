/** Spark's NetworkWordCount: counts the words of each second's lines from a TCP server.
 *
 *   nc -lk 9999                                        in one terminal: type words here
 *   npx millrace run examples/network-word-count.ts    in another one: see them counted
 * @module */
import { definePipeline, seconds } from 'millrace';

export default definePipeline({ name: 'network-word-count', batchInterval: seconds(1) }, (ssc) => {
  const lines = ssc.socketTextStream('127.0.0.1', 9999);
  const words = lines.flatMap((line) => line.split(' '));
  const wordCounts = words.mapToPair((word) => [word, 1]).reduceByKey((a, b) => a + b);
  wordCounts.print();
});
