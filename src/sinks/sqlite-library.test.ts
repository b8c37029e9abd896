import { expect, it } from 'vitest';
import { orMissing } from './sqlite-library.ts';

it('says what to install when the library is missing', async () => {
  const importing = Promise.reject(new Error("Cannot find package 'libsql'\n  at somewhere"));
  await expect(orMissing(importing)).rejects.toMatchObject({
    code: 'OPTIONS_INVALID',
    message:
      'sqliteSink needs the package libsql, which cannot be loaded here: npm install libsql ' +
      "(Cannot find package 'libsql')",
  });
});
