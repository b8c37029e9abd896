/** Counts lines that come over HTTP. The port comes from the benchmark. @module */
import { definePipeline } from 'millrace';

export default definePipeline({ name: 'http-lines' }, (ssc) => {
  const port = Number(process.env['MILLRACE_BENCH_PORT']);
  ssc.httpTextStream({ port }).count().print();
});
