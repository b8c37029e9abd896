/** Breaks of what becomes of a checkpoint when the pipeline changes, and of what is said about it.
 * @module */
import { sim, unit } from './break.ts';
import type { Break } from './break.ts';

const PLAN = 'src/driver/upgrade-plan.test.ts';
const PLACES = 'src/dstream/operator-places.test.ts';
const MIGRATION = 'src/driver/state-migration.test.ts';
const EXPLANATION = 'src/cli/explain/explanation.test.ts';
const HISTORIES = 'test/sim/engine-histories.test.ts';

export const UPGRADE_BREAKS: readonly Break[] = [
  {
    name: 'upgrades: state of an operator that is gone is dropped without a word',
    violates: 'upgrades: state is given up only when it is named',
    file: 'src/driver/state-upgrade.ts',
    find: 'keyCount === 0 || dropState.includes(id);',
    replace: 'keyCount === 0 || node === undefined || dropState.includes(id);',
    caughtBy: unit(PLAN, 'keyed state'),
  },
  {
    name: 'upgrades: state that fits is dropped because it was named once',
    violates: 'upgrades: a second start with the same flags drops nothing',
    file: 'src/driver/state-upgrade.ts',
    find: '  if (reason !== undefined) {\n    const isDropped',
    replace: '  if (reason !== undefined || dropState.includes(id)) {\n    const isDropped',
    caughtBy: unit(PLAN, 'is kept when it fits'),
  },
  {
    name: 'upgrades: an id from a place is believed',
    violates: 'upgrades: state is never attached to another operator',
    file: 'src/driver/state-upgrade.ts',
    find: 'if (!places.isSame(id)) {',
    replace: 'if (!places.isSame(id) && places.likeliest(id).length > 9) {',
    caughtBy: unit(PLAN, 'somebody else may have its place'),
  },
  {
    name: 'upgrades: two operators without ids may change places',
    violates: 'upgrades: state is never attached to another operator',
    file: 'src/dstream/operator-places.ts',
    find: 'likeness > 0 && this.#bestOther(id, pair) < likeness',
    replace: 'likeness > 0',
    caughtBy: unit(PLACES, 'have changed places'),
  },
  {
    name: 'upgrades: an operator that has not changed keeps others from changing',
    violates: 'upgrades: changed functions keep state',
    file: 'src/dstream/operator-places.ts',
    find: 'other.id !== id && !this.#isSettled(other.id);',
    replace: 'other.id !== id;',
    caughtBy: unit(PLACES, 'its function has changed, beside another'),
  },
  {
    name: 'upgrades: what is known of a source goes to the one that has its place now',
    violates: 'upgrades: positions are never attached to another source',
    file: 'src/driver/upgrade-plan.ts',
    find: "roleOf(kind) === 'input' && known.has(id) && places.hasMoved(id)",
    replace: "roleOf(kind) === 'input' && known.has(id) && !places.isSame(id) && id === ''",
    caughtBy: unit(PLAN, 'of a source keep what is known of it'),
  },
  {
    name: 'upgrades: an output that has another one’s place counts as finished',
    violates: 'R6: a batch is done when all its outputs are',
    file: 'src/driver/upgrade-plan.ts',
    find: "roleOf(kind) === 'output' && finished.has(id) && places.hasMoved(id)",
    replace: "roleOf(kind) === 'output' && finished.has(id) && !finished.has(id)",
    caughtBy: unit(PLAN, 'that have finished a batch'),
  },
  {
    name: 'upgrades: an option that is an object is another one at each start',
    violates: 'upgrades: what has changed is told, and nothing else',
    file: 'src/driver/upgrade-plan.ts',
    find: 'canonicalJson(before) === canonicalJson(now)',
    replace: 'before === now',
    caughtBy: unit(PLAN, 'by what they say'),
  },
  {
    name: 'upgrades: the values of a window become the state of another operator',
    violates: 'upgrades: state is never attached to another operator',
    file: 'src/driver/state-upgrade.ts',
    find: "reduceByKeyAndWindow: { form: 'window', bound: [] }",
    replace: "reduceByKeyAndWindow: { form: 'value', bound: [] }",
    caughtBy: unit(PLAN, 'takes no state that was kept for ever'),
  },
  {
    name: 'upgrades: a part of an operator without an id counts as one with an id',
    violates: 'upgrades: what an operator reads has no numbers of places in it',
    file: 'src/dstream/operator-places.ts',
    find: '(batch|pairs|window)',
    replace: '(batch|window)',
    caughtBy: unit(PLACES, 'have ids from its place'),
  },
  {
    name: 'upgrades: state of a newer version is taken for one of ours',
    violates: 'upgrades: newer than known is refused',
    file: 'src/driver/state-upgrade.ts',
    find: '  if (version > known) {',
    replace: '  if (version > known + 1) {',
    caughtBy: unit(PLAN, 'newer than known'),
  },
  {
    name: 'upgrades: state of an operator that is younger than the snapshot is forgotten',
    violates: 'upgrades: state is given up only when it is named',
    file: 'src/driver/state-upgrade.ts',
    find: '({ id, kind }) => hasBatches && isLasting',
    replace: '({ id, kind }) => hasBatches && sinceMs === 0 && isLasting',
    caughtBy: unit(PLAN, 'younger than the snapshot'),
  },
  {
    name: 'upgrades: state that was dropped comes back with the next start',
    violates: 'upgrades: what was given up once stays so',
    file: 'src/driver/state-upgrade.ts',
    find: 'operators: pointer.operators.filter(([id]) => taken.has(id))',
    replace: 'operators: pointer.operators.filter(([id]) => taken.has(id) || id !== "")',
    caughtBy: unit(PLAN, 'that was dropped is in no later checkpoint'),
  },
  {
    name: 'upgrades: all state of a snapshot is taken over, also what was dropped',
    violates: 'upgrades: what was given up once stays so',
    file: 'src/driver/keyed-state.ts',
    find: 'operator === undefined || !ids.has(saved.id)',
    replace: 'operator === undefined || !ids.has(operator.node.id) === ids.has(saved.id)',
    caughtBy: unit(MIGRATION, 'is left out begins anew'),
  },
  {
    name: 'upgrades: a migrated state forgets when its key was touched',
    violates: 'keyed state: expiry fires at the batch where it is due',
    file: 'src/state/entry-rewrite.ts',
    find: 'bytes.writeDoubleLE(cursor.touchedMs, at + 16);',
    replace: 'bytes.writeDoubleLE(0, at + 16);',
    caughtBy: unit(MIGRATION, 'the time of its last touch'),
  },
  {
    name: 'upgrades: migrated state waits for a change before it is written',
    violates: 'upgrades: the next snapshot is of the new version',
    file: 'src/driver/keyed-state.ts',
    find: 'if (migration !== undefined) restored.changedBytes += entries.byteLength;',
    replace: 'if (migration !== undefined) restored.changedBytes += 0 * entries.byteLength;',
    caughtBy: unit(MIGRATION, 'from the next snapshot on'),
  },
  {
    name: 'upgrades: a snapshot says the first version of every state',
    violates: 'upgrades: a state is migrated once',
    file: 'src/driver/keyed-state.ts',
    find: '          version: stateVersionOf(node),',
    replace: '          version: Math.min(1, stateVersionOf(node)),',
    caughtBy: sim(HISTORIES, 'loses nothing that it promised'),
  },
  {
    name: 'explain: an output is as good as its sink',
    violates: 'explain: the weakest edge counts',
    file: 'src/cli/explain/explanation.ts',
    find: 'const isOnTheWay = to === null ? from === id : upstream.has(to);',
    replace: 'const isOnTheWay = to === null && from === id && !upstream.has(to ?? "");',
    caughtBy: unit(EXPLANATION, 'from end to end'),
  },
  {
    name: 'upgrades: state that is migrated and spread anew at once is left behind',
    violates: 'upgrades: state goes on under the id of its operator (seen by kills, too)',
    file: 'src/driver/keyed-state.ts',
    find: '      if (isSpread) this.#spread(restored, entries);',
    replace:
      '      if (isSpread && migration !== undefined) return;\n      if (isSpread) this.#spread(restored, entries);',
    caughtBy: unit(MIGRATION),
  },
];
