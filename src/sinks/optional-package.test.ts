import { expect, it } from 'vitest';
import { orMissing } from './optional-package.ts';

it('says what to install when a package is missing', async () => {
  const importing = Promise.reject(new Error("Cannot find package 'libsql'\n  at somewhere"));
  const needed = { sink: 'sqliteSink', name: 'libsql' };
  await expect(orMissing(needed, importing)).rejects.toMatchObject({
    code: 'OPTIONS_INVALID',
    message:
      'sqliteSink needs the package libsql, which cannot be loaded here: npm install libsql ' +
      "(Cannot find package 'libsql')",
  });
});
