/** @module */
import { describe, expect, it } from 'vitest';
import { EventBus } from '../core/events.ts';
import { checkFileSystems } from './home-file-system.ts';

const EXT4 = 0xef53;
const BTRFS = 0x9123683e;
const TMPFS = 0x01021994;
const NFS = 0x6969;

/** @param magics of the file systems of `/0`, `/1`, each a device of its own. */
async function check(magics: readonly number[], more: { allow?: boolean; device?: number } = {}) {
  const warnings: string[] = [];
  const events = new EventBus();
  events.subscribe((event) => {
    if (event.type === 'warning') warnings.push(event.message);
  });
  const found = await checkFileSystems(
    magics.map((_, index) => `/${index}`),
    {
      allowNetworkFileSystem: more.allow ?? false,
      events,
      stat: (directory) => {
        const index = Number(directory.slice(1));
        return Promise.resolve({ magic: magics[index] ?? 0, device: more.device ?? index });
      },
    },
  );
  return { ...found, warnings };
}

describe('the file systems of a start', () => {
  it('are not worth a word when they are local and two', async () => {
    expect(await check([EXT4])).toEqual({ isGrowing: false, warnings: [] });
    expect(await check([EXT4, EXT4])).toEqual({ isGrowing: false, warnings: [] });
  });

  it('make logs grow when one of them copies on write', async () => {
    expect(await check([BTRFS])).toEqual({ isGrowing: true, warnings: [] });
    expect(await check([EXT4, BTRFS])).toEqual({ isGrowing: true, warnings: [] });
  });

  it('are told when they are in memory', async () => {
    const { warnings } = await check([TMPFS]);
    expect(warnings).toEqual([expect.stringMatching(/^\/0 is on tmpfs.*survives a reboot/)]);
  });

  it('are refused behind a network, unless that is allowed', async () => {
    await expect(check([EXT4, NFS])).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
      message: expect.stringMatching(/^\/1 .*nfs.*--allow-network-file-system/) as string,
    });
    const { warnings } = await check([NFS], { allow: true });
    expect(warnings).toEqual([expect.stringContaining('/0 is on nfs')]);
  });

  it('are told when both copies are on one', async () => {
    const { warnings } = await check([EXT4, EXT4], { device: 7 });
    expect(warnings).toEqual([expect.stringContaining('/0 and /1 are on the same file system')]);
  });
});
