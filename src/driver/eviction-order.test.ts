/** @module */
import { expect, it } from 'vitest';
import { evictionOrder } from './eviction-order.ts';
import type { Candidate, Run } from './eviction-order.ts';

function block(arrival: number, more: Partial<Candidate> = {}): Candidate {
  return { arrival, pins: 0, wasRead: false, isDone: false, mayLeave: true, ...more };
}

function run(extentIndex: number, ...blocks: readonly Candidate[]): Run<Candidate> {
  return { extentIndex, blocks, references: blocks.length };
}

const order = (runs: readonly Run<Candidate>[], isReadOnce = false): number[] =>
  evictionOrder(runs, isReadOnce).map(({ extentIndex }) => extentIndex);

it('gives up first what was registered last: its batch runs last', () => {
  expect(order([run(1, block(3)), run(2, block(7)), run(3, block(5))])).toEqual([2, 3, 1]);
});

it('takes a run for as needed as the oldest block in it', () => {
  expect(order([run(1, block(1), block(9)), run(2, block(4), block(5))])).toEqual([2, 1]);
});

it('never names a run of which a task reads a block', () => {
  expect(order([run(1, block(1), block(2, { pins: 1 })), run(2, block(0))])).toEqual([2]);
});

it('never names a run that an executor still writes into', () => {
  const open = { ...run(1, block(5)), references: 2 };
  expect(order([open, run(2, block(0))])).toEqual([2]);
});

it('never names a run with a block that has to stay', () => {
  const stays = run(1, block(5), block(6, { mayLeave: false }));
  expect(order([stays, run(2, block(0))])).toEqual([2]);
});

it('gives up before all others what was read and is not read again', () => {
  const runs = [run(1, block(0, { wasRead: true })), run(2, block(8)), run(3, block(9))];
  expect(order(runs, true)).toEqual([1, 3, 2]);
  expect(order(runs, false)).toEqual([3, 2, 1]);
});

it('does not take a run for read as long as one block of it was not', () => {
  const half = run(1, block(0, { wasRead: true }), block(3));
  expect(order([half, run(2, block(4))], true)).toEqual([2, 1]);
});

it('gives up before all others what only windows may want again', () => {
  const runs = [run(1, block(0, { isDone: true })), run(2, block(8)), run(3, block(9))];
  expect(order(runs)).toEqual([1, 3, 2]);
  const half = run(1, block(0, { isDone: true }), block(3));
  expect(order([half, run(2, block(4))])).toEqual([2, 1]);
});
