import { expect, it } from 'vitest';
import { dataLines } from './data-lines.ts';

function printer(): { readonly print: (line: string) => void; readonly written: string[] } {
  const written: string[] = [];
  return { print: dataLines((text) => written.push(text)), written };
}

it('writes the lines of a turn at once, and those of the next one again', async () => {
  const { print, written } = printer();
  print('a');
  print('');
  print('b');
  await Promise.resolve();
  print('c');
  await Promise.resolve();
  expect(written).toEqual(['a\n\nb\n', 'c\n']);
});

it('has written before whoever prints and then waits goes on', async () => {
  const { print, written } = printer();
  const printing = async (): Promise<void> => print('a');
  await printing();
  expect(written).toEqual(['a\n']);
});

it('holds no more back than 64 Ki characters and a line', async () => {
  const { print, written } = printer();
  const line = 'x'.repeat(40_000);
  print(line);
  expect(written).toEqual([]);
  print(line);
  expect(written).toEqual([`${line}\n${line}\n`]);
  print('y');
  await Promise.resolve();
  expect(written.slice(1)).toEqual(['y\n']);
});
