import { describe, expect, it } from 'vitest';
import { MillraceError } from './errors.ts';
import { CONFIG_RULES, findOptionProblems, resolveOptions } from './options.ts';
import type { OptionSources, ResolvedOptions } from './options.ts';

const MIB = 2 ** 20;
const name = 'wordcount';

function resolve(sources: Omit<OptionSources, 'module'> & { module?: object }): ResolvedOptions {
  const { module, ...rest } = sources;
  return resolveOptions({ defaults: { executors: 2 }, ...rest, module: { name, ...module } });
}

function refusalOf(module: object, flags: object = {}): MillraceError {
  try {
    resolve({ module, flags });
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'OPTIONS_INVALID') return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('resolveOptions', () => {
  it('completes with defaults, frozen', () => {
    const resolved = resolve({});
    expect(resolved).toEqual({
      name,
      batchIntervalMs: 1000,
      blockIntervalMs: 200,
      executors: 2,
      receiverExecutors: undefined,
      checkpointDir: './.millrace/wordcount',
      mirrorDir: false,
      allowNetworkFileSystem: false,
      durability: 'sync',
      storageLevel: undefined,
      memoryBytes: 512 * MIB,
      checkpointIntervalMs: 1000,
      maxRate: undefined,
      backpressure: false,
      concurrentBatches: 1,
      catchUp: 'coalesce',
      rememberMs: 0,
      maxTaskFailures: 4,
      gracefulStopTimeoutMs: 60_000,
      blockBytesMax: MIB,
      idempotencyKeysMax: 100_000,
      receiverSegmentBytes: 64 * MIB,
      driverSegmentBytes: 16 * MIB,
      onWalFailure: 'stop',
      quarantineDir: undefined,
    } satisfies ResolvedOptions);
    expect(Object.isFrozen(resolved)).toBe(true);
    expect(Object.keys(CONFIG_RULES).toSorted()).toEqual(Object.keys(resolved).toSorted());
  });

  it('takes the number of cores when nobody says how many executors', () => {
    expect(resolveOptions({ module: { name } }).executors).toBeGreaterThan(0);
  });

  it('lets a flag win over the module, and that over the checkpoint', () => {
    const flags: object = { batchInterval: '2s', blockInterval: undefined };
    const module = { batchInterval: 500, blockInterval: '100ms' };
    const checkpoint = { batchIntervalMs: 3_000 };
    expect(resolve({ flags, module, checkpoint, defaults: { executors: 7 } })).toMatchObject({
      batchIntervalMs: 2000,
      blockIntervalMs: 100,
      checkpointIntervalMs: 2000,
      executors: 7,
    });
    expect(resolve({ module: {}, checkpoint })).toMatchObject({ batchIntervalMs: 3_000 });
  });

  it('does not take from a checkpoint what belonged to that run', () => {
    const checkpoint = { executors: 64, checkpointDir: '/elsewhere', durability: 'off' };
    expect(resolve({ checkpoint })).toMatchObject({
      executors: 2,
      durability: 'sync',
      checkpointDir: './.millrace/wordcount',
    });
  });

  it('completes the settings of backpressure with the defaults of Spark', () => {
    const defaults = { proportional: 1, integral: 0.2, derived: 0, minRate: 100 };
    expect(resolve({ module: { backpressure: true } }).backpressure).toEqual(defaults);
    const some = { module: { backpressure: { integral: 0, initialRate: 5 } } };
    expect(resolve(some).backpressure).toEqual({ ...defaults, integral: 0, initialRate: 5 });
    for (const backpressure of [{ minRate: 0 }, { proportional: -1 }, { rate: 1 } as object]) {
      expect(() => resolve({ module: { backpressure } })).toThrow('backpressure is');
    }
  });

  it('lets a log go on elsewhere only where there is an elsewhere', () => {
    const module = { onWalFailure: 'quarantine', quarantineDir: '/other' } as const;
    expect(resolve({ module })).toMatchObject(module);
    expect(() => resolve({ module: { onWalFailure: 'quarantine' } })).toThrow(
      /onWalFailure is 'quarantine' and needs quarantineDir/,
    );
    expect(() => resolve({ module: { quarantineDir: '/other' } })).toThrow(
      /quarantineDir is '\/other' and is only used when onWalFailure is 'quarantine'/,
    );
  });

  it('refuses a log that goes on elsewhere where there is no log', () => {
    const elsewhere = { onWalFailure: 'quarantine', quarantineDir: '/other' } as const;
    const none = { name, checkpointDir: false } as const;
    for (const sources of [
      { module: { ...none, ...elsewhere } },
      { module: none, flags: elsewhere },
    ]) {
      expect(findOptionProblems(sources)).toEqual([
        expect.stringMatching(/^onWalFailure.* is 'quarantine' and needs a checkpoint directory/),
      ]);
    }
    const overruled = { module: { name, ...elsewhere }, flags: { checkpointDir: false as const } };
    expect(resolveOptions(overruled)).toMatchObject({
      onWalFailure: 'stop',
      quarantineDir: undefined,
    });
  });

  it('reads units', () => {
    const module = { batchInterval: '1m', memory: '64MiB', receiverSegmentBytes: '1MiB' };
    expect(resolve({ module })).toMatchObject({
      batchIntervalMs: 60_000,
      memoryBytes: 64 * MIB,
      receiverSegmentBytes: MIB,
      blockBytesMax: MIB / 8,
    });
  });

  it.each([
    [1000, 200],
    [500, 125],
    [100, 100],
    [10, 10],
    [1009, 1009],
    [60_000, 200],
  ])('cuts blocks of a %i ms batch every %i ms', (batchInterval, blockIntervalMs) => {
    expect(resolve({ module: { batchInterval } }).blockIntervalMs).toBe(blockIntervalMs);
  });
});

describe('durability', () => {
  it.each([
    [{ checkpointDir: false }, {}, 'off'],
    [{ durability: 'sync' }, { checkpointDir: false }, 'off'],
    [{ durability: 'off' }, {}, 'off'],
    [{ checkpointDir: false }, { checkpointDir: 'here', durability: 'flush' }, 'flush'],
  ])('module %o, flags %o: %s', (module, flags: object, expected) => {
    expect(resolve({ module, flags }).durability).toBe(expected);
  });

  it.each([
    [{ checkpointDir: false, durability: 'sync' }, {}],
    [{ checkpointDir: false }, { durability: 'flush' }],
    [{}, { checkpointDir: false, durability: 'sync' }],
  ])('module %o, flags %o: refused', (module, flags) => {
    expect(refusalOf(module, flags).message).toMatch(/needs a checkpoint directory/);
  });
});

describe('wrong options', () => {
  it('are told all at once, by the names that were used', () => {
    const { message, details } = refusalOf(
      { memory: '1GB!', durability: 'maybe', batchIntervall: 5, blockInterval: '300ms' },
      { batchInterval: 0, executors: 1.5 },
    );
    expect(details['problemCount']).toBe(5);
    expect(message.split('\n')).toEqual([
      '5 wrong options:',
      expect.stringMatching(/^ {2}- there is no option batchIntervall \(known are name, batch/),
      '  - batchInterval (--batch-interval) is 0 and must be a duration of 10ms … 1440m, as ' +
        "milliseconds or text such as '200ms', '1s', '2m'",
      '  - executors (--executors) is 1.5 and must be a whole number, 1 … 256',
      "  - durability is 'maybe' and must be one of sync, flush, off",
      "  - memory is '1GB!' and must be 16MiB … 4GiB, as bytes or text such as '64MiB'",
    ]);
  });

  it.each([
    ['blockInterval', { blockInterval: '300ms' }, 'must divide the batch interval, 1000 ms'],
    ['blockInterval', { blockInterval: '2s' }, 'must divide the batch interval, 1000 ms'],
    ['blockInterval', { blockInterval: 4 }, '5ms'],
    ['memory', { memory: '15MiB' }, '16MiB … 4GiB'],
    ['memory', { memory: null }, '16MiB … 4GiB'],
    ['blockBytesMax', { blockBytesMax: '2MiB', memory: '16MiB' }, 'at most 1MiB: a sixteenth of'],
    ['blockBytesMax', { blockBytesMax: 65536, receiverSegmentBytes: 65536 }, 'at most 8KiB'],
    ['receiverSegmentBytes', { receiverSegmentBytes: 100_000 }, 'a multiple of 4KiB'],
    ['checkpointDir', { checkpointDir: '' }, 'the path of a directory, or false'],
    ['checkpointDir', { checkpointDir: true }, 'the path of a directory, or false'],
    ['name', { name: '../up' }, 'letters, digits'],
    ['name', { name: undefined }, 'is missing'],
    ['maxTaskFailures', { maxTaskFailures: Number.NaN }, 'a whole number, 1 … 100'],
  ])('%s of %o', (option, module, part) => {
    const { message } = refusalOf(module);
    expect(message.startsWith(`wrong option: ${option} `)).toBe(true);
    expect(message).toContain(part);
  });

  it('of a checkpoint are named as such', () => {
    const bad = (): unknown => resolve({ checkpoint: { batchIntervalMs: 1 } });
    expect(bad).toThrow('batchInterval (from the checkpoint) is 1');
  });
});

describe('mirrorDir', () => {
  it('needs a checkpoint directory, unless a stronger source has said that there is none', () => {
    const none = { name, checkpointDir: false as const };
    const problems = findOptionProblems({ module: { ...none, mirrorDir: 'm' } });
    expect(problems).toEqual([expect.stringContaining('mirrorDir')]);
    const flags = { mirrorDir: 'm' };
    expect(findOptionProblems({ flags, module: none })).toHaveLength(1);
    const overruled = {
      flags: { checkpointDir: false as const },
      module: { name, mirrorDir: 'm' },
    };
    expect(resolveOptions(overruled).mirrorDir).toBe(false);
    expect(resolveOptions({ module: { name, mirrorDir: 'm' } }).mirrorDir).toBe('m');
  });

  it('and logs that go on elsewhere exclude each other', () => {
    const elsewhere = { onWalFailure: 'quarantine', quarantineDir: 'q' } as const;
    expect(findOptionProblems({ module: { name, ...elsewhere } })).toEqual([]);
    expect(findOptionProblems({ module: { name, ...elsewhere, mirrorDir: 'm' } })).toEqual([
      expect.stringMatching(
        /^onWalFailure is 'quarantine' and mirrorDir is 'm', which exclude each other/,
      ),
    ]);
  });
});
