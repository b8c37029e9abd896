/** The tools for logs: what they say, what they change, what they give up. @module */
import { sim, unit } from './break.ts';
import type { Break, Catcher } from './break.ts';

function tools(test: string): Catcher {
  return { project: 'integration', file: 'test/integration/wal-tools.test.ts', test };
}

function damage(test: string): Catcher {
  return { project: 'integration', file: 'test/integration/wal-tools-damage.test.ts', test };
}

export const TOOL_BREAKS: readonly Break[] = [
  {
    name: 'an export stops at the first record that is not whole',
    violates: 'what is whole is given out',
    file: 'src/cli/wal/log-tour.ts',
    find: '  if (found !== undefined && found.lsn <= lastLsnMax) {\n',
    replace: '  if (found !== undefined && found.lsn < 0) {\n',
    caughtBy: damage('goes on behind each hole'),
  },
  {
    name: 'only the last of several ranges is dropped',
    violates: 'an order is carried out whole',
    file: 'src/cli/tool-commands.ts',
    find: '  return [...before, parseDrop(given)];\n',
    replace: '  return [...before.slice(0, 0), parseDrop(given)];\n',
    caughtBy: damage('name every place'),
  },
  {
    name: 'a dropped range leaves its blocks where the log no longer has them',
    violates: 'the loss is told, and batches run without it',
    file: 'src/cli/wal/drop-range.ts',
    find: "    return { ...rest, durability: 'off' };\n",
    replace: "    return rest.durability === 'off' ? rest : block;\n",
    caughtBy: tools('repaired'),
  },
  {
    name: 'driver events are dropped that no checkpoint has',
    violates: 'I1',
    file: 'src/cli/wal/drop-range.ts',
    find: '  if (lastLsn <= appliedLsn) return;\n',
    replace: '  if (lastLsn <= appliedLsn + 100) return;\n',
    caughtBy: tools('driver events'),
  },
  {
    name: 'verify calls a torn tail clean',
    violates: 'exit codes of the tools',
    file: 'src/cli/wal/verification.ts',
    find: '  torn: 1,\n',
    replace: '  torn: 0,\n',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/wal-format.test.ts',
      test: 'torn is judged',
    },
  },
  {
    name: 'verify forgets what it found out about the logs',
    violates: 'verify says what a start does',
    file: 'src/cli/wal/verification.ts',
    find: 'worse(worst, log.verdict), outcome);\n',
    replace: 'worse(worst, outcome), outcome);\n',
    caughtBy: sim('test/sim/verify-and-start.test.ts', 'same verdict'),
  },
  {
    name: 'the deep check takes any bytes for text',
    violates: 'verify --deep',
    file: 'src/cli/wal/deep-check.ts',
    find: "  if (codec === 'ascii') throw new Error('a block of ASCII text has other bytes in it');\n",
    replace: "  if (codec === 'ascii') return;\n",
    caughtBy: unit('src/cli/wal/deep-check.test.ts'),
  },
  {
    name: 'a tool that only reads can remove files',
    violates: 'read-only tools change nothing',
    file: 'src/cli/wal/read-only-disk.ts',
    find: "    unlink: (path) => refuse('remove', path),\n",
    replace: '    unlink: (path) => disk.unlink(path),\n',
    caughtBy: unit('src/cli/wal/read-only-disk.test.ts'),
  },
];
