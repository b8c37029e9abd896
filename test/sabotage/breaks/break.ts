/** Deliberate breaks of what the engine promises, and the test that has to notice each.
 *
 * A break is a change of one place in src/ that a hurried reader might let pass; most are errors
 * that other systems really had. `find` has to occur exactly once: when code changes, this list
 * has to change with it. @module */

export interface Break {
  /** What is no longer done, or done too early. */
  readonly name: string;
  /** Rule or invariant of docs/ARCHITECTURE.md. */
  readonly violates: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  readonly caughtBy: Catcher;
}

export interface Catcher {
  readonly project: 'unit' | 'sim' | 'integration' | 'crash' | 'faults';
  readonly file: string;
  /** Part of the tests' full names; absent: all of the file. */
  readonly test?: string;
}

export function unit(file: string, test?: string): Catcher {
  return { project: 'unit', file, ...(test === undefined ? {} : { test }) };
}

export function sim(file: string, test: string): Catcher {
  return { project: 'sim', file, test };
}

export function faults(name: string, test?: string): Catcher {
  const file = `test/faults/${name}.test.ts`;
  return { project: 'faults', file, ...(test === undefined ? {} : { test }) };
}
