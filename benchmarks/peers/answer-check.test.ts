/** Tests for what a peer's counts are held against. @module */
import { describe, expect, it } from 'vitest';
import { expectedSums } from '../generator-check.ts';
import { checkAnswer } from './answer-check.ts';

const timed = { records: 10, seconds: 1 };

describe('of a log', () => {
  it('accepts one that has what it acknowledged', () => {
    expect(() => checkAnswer('records', { ...timed, appended: 12, found: 12 })).not.toThrow();
  });

  it.each([
    ['lost a record', { ...timed, appended: 12, found: 11 }],
    ['has one too many', { ...timed, appended: 12, found: 13 }],
    ['counts more than it appended', { ...timed, appended: 9, found: 9 }],
    ['says nothing', timed],
  ])('refuses one that %s', (_, answer) => {
    expect(() => checkAnswer('blocks', answer)).toThrow('records acknowledged, and the log holds');
  });
});

describe('of a stream', () => {
  // Two sources, each of which began with the first line and has lines that are selected.
  const [whole, part] = [expectedSums('filter-count', 3_000), expectedSums('filter-count', 700)];
  const selected = (whole['selected'] ?? 0) + (part['selected'] ?? 0);

  it('accepts the sum over what each source was fed', () => {
    const answer = { ...timed, fed: [3_000, 700], selected };
    expect(() => checkAnswer('filter-count', answer)).not.toThrow();
  });

  it.each([
    ['counts one less', { ...timed, fed: [3_000, 700], selected: selected - 1 }],
    ['was fed more than it counted', { ...timed, fed: [3_100, 700], selected }],
    ['does not say what it was fed', { ...timed, selected }],
    ['never got to know what it was fed', { ...timed, fed: [3_000, -1], selected }],
  ])('refuses one that %s', (_, answer) => {
    expect(() => checkAnswer('filter-count', answer)).toThrow(/fed/);
  });

  it('tells a word that took the place of another', () => {
    const sums = expectedSums('word-count', 1_024);
    const answer = { ...timed, fed: [1_024], ...sums };
    expect(() => checkAnswer('word-count', answer)).not.toThrow();
    const other = { ...answer, weighted: (sums['weighted'] ?? 0) + 1 };
    expect(() => checkAnswer('word-count', other)).toThrow('weighted');
  });
});
