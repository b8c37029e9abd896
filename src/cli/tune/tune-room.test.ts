import { expect, it } from 'vitest';
import { resolveOptions } from '../../core/options.ts';
import type { PipelineOptions } from '../../core/options-types.ts';
import { settingsOf } from './setting.ts';
import { neededRoom, requireRoom } from './tune-room.ts';

const MIB = 2 ** 20;
const SETTINGS = settingsOf({
  blockIntervalsMs: [50],
  batchIntervalsMs: [200],
  receiverExecutors: [1, 4],
  executors: [1],
});

function needed(options: Partial<PipelineOptions>, receivers = 64) {
  const segments = { receiverSegmentBytes: '16MiB', driverSegmentBytes: '8MiB' };
  const module = { name: 'p', ...segments, ...options };
  return neededRoom(SETTINGS, resolveOptions({ module }), receivers);
}

it('is for segments and spares of as many logs as threads and receivers make', () => {
  const small = 16 * MIB;
  const ofDriver = 3 * (8 * MIB + 1 * MIB); // with its mirror
  const ofOne = 3 * 16 * MIB;
  expect(needed({})).toEqual({ bytes: small + ofDriver + 4 * ofOne, receiverLogs: 4 });
  expect(needed({}, 3)).toEqual({ bytes: small + ofDriver + 3 * ofOne, receiverLogs: 3 });
  expect(needed({ durability: 'off' })).toEqual({ bytes: small + ofDriver, receiverLogs: 0 });
  expect(needed({ checkpointDir: false })).toEqual({ bytes: small, receiverLogs: 0 });
});

it('is asked for with what is needed, what is there, and what helps', () => {
  const room = { bytes: 100 * MIB, receiverLogs: 1 };
  const at = (freeBytes: number | undefined) => () =>
    requireRoom(room, { directory: '/d', freeBytes });
  expect(at(100 * MIB)).not.toThrow();
  expect(at(undefined)).not.toThrow();
  expect(at(99 * MIB)).toThrow(
    expect.objectContaining({
      code: 'DISK_FULL',
      message: expect.stringMatching(/100MiB.* 1 receiver log .*99MiB are free.*--dir/s) as string,
    }),
  );
});
