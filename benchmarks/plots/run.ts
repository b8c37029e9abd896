/** `npm run bench:plots`: draws docs/plots/ from benchmarks/results/. What has no results yet is
 * named, with the command that brings them. @module */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barChartSvg } from './bar-chart.ts';
import { PLOTS } from './charts.ts';

const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));
const TARGET = fileURLToPath(new URL('../../docs/plots/', import.meta.url));

mkdirSync(TARGET, { recursive: true });
for (const { name, result, command, chart } of PLOTS) {
  const kept = join(RESULTS, `${result}.json`);
  if (!existsSync(kept)) {
    console.log(`${name}.svg: skipped, results/${result}.json is not there: ${command}`);
    continue;
  }
  writeFileSync(
    join(TARGET, `${name}.svg`),
    barChartSvg(chart(JSON.parse(readFileSync(kept, 'utf8')))),
  );
  console.log(`${name}.svg: written`);
}
