/** Stream processors of others: the same pipelines, fed by a source in their own process.
 *
 * Guarantees are those of the settings used here; which syncs are made was seen with strace, no
 * power was cut. @module */
import { writeFileSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Guarantee, Peer, Recipe } from './peer.ts';

/** Pinned, so that what is fetched is the same tomorrow. */
const RESOLVE = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath';

/** The heap is there and touched before the clock starts: a growing one costs Spark a third. */
const HEAP = ['-Xms4g', '-Xmx4g', '-XX:+AlwaysPreTouch'];

/** What Spark asks for on Java 17, where the platform's own classes are closed to it. */
const PACKAGES =
  'java.lang java.lang.invoke java.io java.net java.nio java.util java.util.concurrent ' +
  'java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar';
const OPENED = PACKAGES.split(' ').map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);

const SPARK = jvmRecipe('spark');
const FLINK = jvmRecipe('flink');

export const STREAM_PEERS: readonly Peer[] = [
  jvmPeer('Spark 3.5.7, receiver log', SPARK, {
    argument: 'wal',
    beside: 'sync',
    guarantee: {
      survives: 'a kill',
      how: 'store returns when the block was written to the log; nothing is ever synced',
    },
  }),
  jvmPeer('Flink 2.3.0, checkpoints', FLINK, {
    argument: 'checkpoints',
    beside: 'sync',
    guarantee: {
      survives: 'if read again',
      how: 'nothing received is kept; the position and the windows are, each second, synced',
    },
  }),
  jvmPeer('Spark 3.5.7, no log', SPARK, {
    argument: 'off',
    beside: 'off',
    guarantee: { survives: 'nothing', how: 'blocks are in memory only' },
  }),
  jvmPeer('Flink 2.3.0, none', FLINK, {
    argument: 'off',
    beside: 'off',
    guarantee: { survives: 'nothing', how: 'no checkpoints' },
  }),
];

interface Setting {
  readonly argument: string;
  readonly beside: Peer['beside'];
  readonly guarantee: Guarantee;
}

function jvmPeer(name: string, recipe: Recipe, setting: Setting): Peer {
  const { argument, beside, guarantee } = setting;
  return {
    name,
    workloads: ['count', 'filter-count', 'word-count'],
    tools: ['java', 'maven'],
    guarantee,
    beside,
    recipe,
    command(folder, { workload, directory, lines, warmUpMs, measureMs }) {
      const given = [workload, argument, directory, lines, String(warmUpMs), String(measureMs)];
      return ['java', ...HEAP, `@${join(folder, 'arguments')}`, ...given];
    },
  };
}

/** Maven finds the jars, javac compiles; `arguments` is what `java` is then called with. */
function jvmRecipe(name: 'spark' | 'flink'): Recipe {
  const main = name === 'spark' ? 'SparkPeer' : 'FlinkPeer';
  const sources = ['jvm/Work.java', `${name}/${main}.java`];
  return {
    name,
    sources: [...sources, `${name}/pom.xml`],
    async build({ folder, cache }, run) {
      const jars = join(folder, 'jars');
      const settings = [`-Dmdep.outputFile=${jars}`, `-Dmaven.repo.local=${join(cache, 'maven')}`];
      const resolve = ['-q', '-B', '-f', `${name}/pom.xml`, RESOLVE, '-DincludeScope=runtime'];
      await run('mvn', ...resolve, ...settings);
      const classes = join(folder, 'classes');
      const classpath = [classes, readFileSync(jars, 'utf8').trim()].join(delimiter);
      await run('javac', '-nowarn', '-d', classes, '-cp', classpath, ...sources);
      writeFileSync(join(folder, 'arguments'), [...OPENED, '-cp', classpath, main].join('\n'));
    },
  };
}
