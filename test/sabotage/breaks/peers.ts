/** Comparing with peers: what is compared, what is believed, what is skipped. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const FOLDER = 'benchmarks/peers';

export const PEERS_BREAKS: readonly Break[] = [
  {
    name: 'ours is compared to a peer’s first round only',
    violates: 'only neighbours of one round are compared',
    file: `${FOLDER}/pairs.ts`,
    find: '        (own.samples[round]?.recordsPerSecond ?? Number.NaN) / recordsPerSecond,\n',
    replace:
      '        (own.samples[0 * round]?.recordsPerSecond ?? Number.NaN) / recordsPerSecond,\n',
    caughtBy: unit(`${FOLDER}/pairs.test.ts`, 'neighbours of one round only'),
  },
  {
    name: 'the peer always goes first',
    violates: 'being the first of two favours nobody',
    file: `${FOLDER}/pairs.ts`,
    find: '      for (const contestant of inRound([peer, ours], round)) {\n',
    replace: '      for (const contestant of inRound([peer, ours], 0)) {\n',
    caughtBy: unit(`${FOLDER}/pairs.test.ts`, 'every second round backwards'),
  },
  {
    name: 'a peer’s log may lack what it acknowledged',
    violates: 'a fast wrong answer is no answer',
    file: `${FOLDER}/answer-check.ts`,
    find: '    if (Number(appended) >= records && appended === found) return;\n',
    replace: '    if (Number(appended) >= records && found !== undefined) return;\n',
    caughtBy: unit(`${FOLDER}/answer-check.test.ts`, 'of a log'),
  },
  {
    name: 'a stream’s sums are those of its first source',
    violates: 'a fast wrong answer is no answer',
    file: `${FOLDER}/answer-check.ts`,
    find: '    const expected = fed\n',
    replace: '    const expected = fed.slice(0, 1)\n',
    caughtBy: unit(`${FOLDER}/answer-check.test.ts`, 'of a stream'),
  },
  {
    name: 'a peer that fails is taken at its word',
    violates: 'a fast wrong answer is no answer',
    file: `${FOLDER}/peer-process.ts`,
    find: '  if (code !== 0) throw',
    replace: '  if (code === null) throw',
    caughtBy: unit(`${FOLDER}/session.test.ts`, 'ends when a peer fails'),
  },
  {
    name: 'a sample begins with what the one before left',
    violates: 'every sample begins with an empty folder',
    file: `${FOLDER}/session.ts`,
    find: '  rmSync(directory, { recursive: true, force: true });\n',
    replace: '',
    caughtBy: unit(`${FOLDER}/session.test.ts`, 'an empty folder'),
  },
  {
    name: 'a peer whose tool is missing is left out without a word',
    violates: 'peers are skipped by name, with the reason',
    file: `${FOLDER}/selection.ts`,
    find: '    return reason === undefined ? [] : [{ name: peer.name, reason }];\n',
    replace: "    return reason?.startsWith('is not') ? [{ name: peer.name, reason }] : [];\n",
    caughtBy: unit(`${FOLDER}/selection.test.ts`, 'skips by name'),
  },
  {
    name: 'a build that broke off counts as built',
    violates: 'what is measured was built whole',
    file: `${FOLDER}/build.ts`,
    find: "  return existsSync(join(builtFolder(recipe, cache), 'built'));\n",
    replace: '  return existsSync(builtFolder(recipe, cache));\n',
    caughtBy: unit(`${FOLDER}/build.test.ts`, 'broken-off'),
  },
];
