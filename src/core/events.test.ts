/** @module */
import { expect, it } from 'vitest';
import { EventBus } from './events.ts';
import type { EngineEvent } from './events.ts';

const said = (message: string): EngineEvent => ({ type: 'warning', message });
const textOf = (event: EngineEvent): string => (event.type === 'warning' ? event.message : '');

it('every listener hears the same order, also of what a listener causes', () => {
  const bus = new EventBus();
  const [first, second]: [string[], string[]] = [[], []];
  bus.subscribe((event) => {
    first.push(textOf(event));
    if (textOf(event) === 'cause') bus.emit(said('effect'));
  });
  bus.subscribe((event) => second.push(textOf(event)));
  bus.emit(said('cause'));
  bus.emit(said('later'));
  expect([first, second]).toEqual([
    ['cause', 'effect', 'later'],
    ['cause', 'effect', 'later'],
  ]);
});

it('a listener that throws is removed, and the others hear of it after what it threw at', () => {
  const bus = new EventBus();
  const heard: string[] = [];
  let calls = 0;
  bus.subscribe(() => {
    calls += 1;
    throw new Error('too much');
  });
  bus.subscribe((event) => heard.push(textOf(event)));
  bus.emit(said('one'));
  bus.emit(said('two'));
  expect(calls).toBe(1);
  expect(heard).toEqual(['one', expect.stringContaining('too much'), 'two']);
});

it('nobody hears anything once it is closed, whoever closes it', () => {
  const bus = new EventBus();
  const heard: string[] = [];
  bus.subscribe((event) => heard.push(textOf(event)));
  bus.subscribe(() => bus.close());
  bus.subscribe((event) => heard.push(`last: ${textOf(event)}`));
  bus.emit(said('one'));
  bus.subscribe((event) => heard.push(textOf(event)));
  bus.emit(said('two'));
  expect(heard).toEqual(['one']);
});
