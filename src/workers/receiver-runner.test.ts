/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { AnnounceDesk, lifeOf, settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { BlockWriter } from '../blocks/block-writer.ts';
import { Receiver } from '../dstream/receiver.ts';
import type { StoreOptions } from '../dstream/receiver.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockGenerator } from './block-generator.ts';
import { BlockPusher } from './block-pusher.ts';
import type { DriverCallbacks, ReceiverEvent, ReceiverLife } from './protocol.ts';
import { RateGate } from './rate-gate.ts';
import { ReceiverRunner } from './receiver-runner.ts';

const INTERVAL_MS = 200;
const RESTART_MS = 2_000;

interface Behaviour {
  readonly onStart?: () => void | Promise<void>;
  readonly onStop?: () => void | Promise<void>;
}

/** What a user's receiver looks like from outside. */
class Probe extends Receiver<string> {
  readonly calls: string[] = [];
  readonly #behaviour: Behaviour;

  constructor(behaviour: Behaviour = {}) {
    super();
    this.#behaviour = behaviour;
  }

  onStart(): void | Promise<void> {
    this.calls.push('onStart');
    return this.#behaviour.onStart?.();
  }

  onStop(): void | Promise<void> {
    this.calls.push(this.signal.aborted ? 'onStop' : 'onStop before abort');
    return this.#behaviour.onStop?.();
  }

  put(records: readonly string[], options: StoreOptions): Promise<void> {
    return this.store(records, options);
  }

  putOne(record: string): void | Promise<void> {
    return this.store(record);
  }

  again(reason: string, error?: unknown, delayMs?: number): void {
    this.restart(reason, error, delayMs);
  }

  finish(): void {
    this.end();
  }

  get from(): unknown {
    return this.lastPosition;
  }
}

let clock: ManualClock;
let arena: BlockArena;
let desk: AnnounceDesk;
let probes: Probe[];
/** Made next; a probe without behaviour when there is none. */
let next: (() => Promise<Probe>)[];
let driver: DriverLog;
let runner: ReceiverRunner;

class DriverLog implements DriverCallbacks {
  readonly events: string[] = [];
  readonly released: string[] = [];
  lives = 1;
  lastPosition: ReceiverLife['lastPosition'] = {};
  refusesLife = false;
  /** Resolves the renewals that wait. */
  renewals: (() => void)[] | undefined;

  announce = (batch: Parameters<DriverCallbacks['announce']>[0]) => desk.announce(batch);

  async renewLife(life: ReceiverLife): Promise<ReceiverLife> {
    const { renewals } = this;
    if (renewals !== undefined) await new Promise<void>((resolve) => renewals.push(resolve));
    if (this.refusesLife) throw new Error('the engine is stopping');
    this.lives += 1;
    const incarnation = { epoch: life.incarnation.epoch, n: this.lives };
    return { ...life, incarnation, lastPosition: this.lastPosition };
  }

  async receiverEvent(life: ReceiverLife, event: ReceiverEvent): Promise<void> {
    const text = event.kind === 'error' ? `error: ${event.message}` : event.kind;
    const delay = event.kind === 'restarting' ? ` in ${event.delayMs}` : '';
    this.events.push(`${life.incarnation.n} ${text}${delay}`);
  }

  claim = () => Promise.resolve({ kind: 'new' } as const);

  async releaseClaim(_life: ReceiverLife, key: string): Promise<void> {
    this.released.push(key);
  }

  logPoisoned = () => Promise.resolve();

  logShortage = () => Promise.resolve();
}

beforeEach(() => {
  clock = new ManualClock();
  arena = BlockArena.create(1024 * 1024);
  desk = new AnnounceDesk();
  probes = [];
  next = [];
  driver = new DriverLog();
  const pusher = new BlockPusher({ arena, durability: 'off', announce: desk.announce });
  const rate = new RateGate({ clock });
  runner = new ReceiverRunner(lifeOf({ lastPosition: { '': 1 } }), {
    newReceiver: async () => {
      const made = await (next.shift()?.() ?? new Probe());
      probes.push(made);
      return made;
    },
    durability: 'sync',
    clock,
    driver,
    rate,
    newGenerator: (life, onBroken) =>
      new BlockGenerator({
        life,
        writer: new BlockWriter(arena, msgpackCodec, 1),
        pusher,
        rate,
        arena,
        clock,
        blockIntervalMs: INTERVAL_MS,
        blockBytesMax: 32 * 1024,
        onBroken,
      }),
  });
});

function probe(index = probes.length - 1): Probe {
  return probes[index] as Probe;
}

/** The receiver stores a record, while there is room. */
function put(record: string): void {
  expect(probe().putOne(record)).toBeUndefined();
}

async function advance(ms: number): Promise<void> {
  clock.advance(ms);
  await settle();
}

/** A promise that the test resolves. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

const throwing = (message: string) => () => {
  throw new Error(message);
};
const lives = (): unknown[] => desk.blocks.map(({ info }) => info.blockId.incarnation.n);

describe('a life', () => {
  it('starts the receiver with its positions, and says so', async () => {
    await runner.start();
    expect(probe().calls).toEqual(['onStart']);
    expect(probe().from).toEqual({ '': 1 });
    expect(driver.events).toEqual(['1 started']);
  });

  it('ends with stop: the receiver first, then its last block', async () => {
    await runner.start();
    put('a');
    await runner.stop();
    expect(probe().calls).toEqual(['onStart', 'onStop']);
    expect(desk.records(arena)).toEqual([['a']]);
    expect(driver.events).toEqual(['1 started', '1 stopped']);
    expect(() => probe().putOne('b')).toThrow('stopping');
  });

  it('takes what onStop still stores', async () => {
    next.push(async () => new Probe({ onStop: () => void probe().putOne('bye') }));
    await runner.start();
    await runner.stop();
    expect(desk.records(arena)).toEqual([['bye']]);
  });

  it('is stopped also when onStop fails', async () => {
    next.push(async () => new Probe({ onStop: throwing('cannot close') }));
    await runner.start();
    await runner.stop();
    expect(driver.events).toEqual(['1 started', '1 error: onStop failed', '1 stopped']);
  });

  it('says that its source has ended', async () => {
    await runner.start();
    probe().finish();
    await settle();
    expect(driver.events).toEqual(['1 started', '1 ended']);
  });
});

describe('a restart', () => {
  it('settles the old life first, then begins a new one where the driver says', async () => {
    await runner.start();
    put('a');
    desk.hold();
    probe().again('told to', new Error('lost connection'));
    await settle();
    expect(probe().calls).toEqual(['onStart', 'onStop']);
    expect(desk.records(arena)).toEqual([['a']]);
    await advance(RESTART_MS); // nothing counts before the old life's block is settled
    expect(probes).toHaveLength(1);
    driver.lastPosition = { '': 9 };
    desk.release();
    await settle();
    await advance(RESTART_MS - 1);
    expect(probes).toHaveLength(1);
    await advance(1);
    expect(probes).toHaveLength(2);
    expect(probe().from).toEqual({ '': 9 });
    put('b');
    await advance(INTERVAL_MS);
    expect(lives()).toEqual([1, 2]);
    expect(driver.events).toEqual([
      '1 started',
      '1 error: told to',
      '1 restarting in 2000',
      '2 started',
    ]);
  });

  it('waits as long as the receiver asks for', async () => {
    await runner.start();
    probe().again('later', undefined, 70);
    await settle();
    expect(clock.pendingMs).toEqual([70]);
    expect(driver.events).toEqual(['1 started', '1 restarting in 70']);
  });

  it('happens once, however often it is asked for', async () => {
    await runner.start();
    probe().again('one');
    probe().again('two');
    await settle();
    await advance(RESTART_MS);
    probe(0).again('three, from a life that is over');
    await settle();
    expect(probes).toHaveLength(2);
    expect(driver.events.filter((event) => event.includes('restarting'))).toHaveLength(1);
  });

  it('follows a refused block', async () => {
    await runner.start();
    desk.refusal = 'a gap';
    const stored = probe().put(['a'], { position: 5 });
    const refused = expect(stored).rejects.toThrow('a gap');
    await advance(INTERVAL_MS);
    await refused;
    desk.refusal = undefined;
    expect(driver.events).toEqual(['1 started', '1 error: a block failed', '1 restarting in 50']);
    await advance(50);
    expect(driver.events.at(-1)).toBe('2 started');
  });

  it('comes later and later while onStart fails, and soon again after it has not', async () => {
    const fails = async () => new Probe({ onStart: throwing('port in use') });
    next.push(fails, fails, fails, fails, fails, fails);
    await runner.start();
    for (const delayMs of [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      await settle();
      expect(clock.pendingMs).toEqual([delayMs]);
      await advance(delayMs);
    }
    expect(driver.events.at(-1)).toBe('7 started');
    next.push(fails);
    probe().again('again');
    await settle();
    await advance(RESTART_MS);
    expect(driver.events.at(-1)).toBe('8 restarting in 2000');
  });

  it('stops each receiver once, also when the next one cannot be made', async () => {
    next.push(
      async () => new Probe(),
      () => Promise.reject(new Error('no such class')),
    );
    await runner.start();
    probe().again('again');
    await settle();
    await advance(RESTART_MS);
    expect(driver.events.slice(-2)).toEqual(['2 error: onStart failed', '2 restarting in 2000']);
    expect(probe(0).calls).toEqual(['onStart', 'onStop']);
    await advance(RESTART_MS);
    expect(probes).toHaveLength(2);
    expect(driver.events.at(-1)).toBe('3 started');
  });

  it('answers a failing start only when the driver has taken the failure in', async () => {
    let taken = (): void => {};
    const answer = new Promise<void>((resolve) => {
      taken = resolve;
    });
    const told: ReceiverEvent[] = [];
    driver.receiverEvent = (_life, event) => {
      told.push(event);
      return answer;
    };
    next.push(async () => new Probe({ onStart: () => Promise.reject(new Error('in use')) }));
    let isAnswered = false;
    const started = runner.start().then(() => {
      isAnswered = true;
    });
    await settle();
    expect(told).toMatchObject([{ kind: 'error', message: 'onStart failed' }]);
    expect(isAnswered).toBe(false);
    taken();
    await started;
  });

  it('is told when the driver gives no new life', async () => {
    await runner.start();
    driver.refusesLife = true;
    probe().again('again');
    await settle();
    await advance(RESTART_MS);
    expect(driver.events.at(-1)).toBe('1 error: no new life');
    await runner.stop();
  });
});

describe('a stop', () => {
  it('while the receiver is being made: it never starts', async () => {
    const { opened, open } = gate();
    next.push(async () => {
      await opened;
      return new Probe();
    });
    const started = runner.start();
    const stopped = runner.stop();
    await settle();
    open();
    await Promise.all([started, stopped]);
    expect(probe().calls).toEqual([]);
    expect(driver.events).toEqual(['1 stopped']);
  });

  it('while it starts: it is stopped once it has', async () => {
    const { opened, open } = gate();
    next.push(async () => new Probe({ onStart: () => opened }));
    const started = runner.start();
    await settle();
    const stopped = runner.stop();
    await settle();
    expect(probe().calls).toEqual(['onStart']);
    open();
    await Promise.all([started, stopped]);
    expect(probe().calls).toEqual(['onStart', 'onStop']);
    expect(driver.events).toEqual(['1 stopped']);
  });

  it('while an old life settles: it waits, and no new one begins', async () => {
    await runner.start();
    put('a');
    desk.hold();
    probe().again('again');
    await settle();
    let isStopped = false;
    const stopped = runner.stop().then(() => (isStopped = true));
    await settle();
    expect(isStopped).toBe(false);
    desk.release();
    await stopped;
    expect(clock.pendingMs).toEqual([]);
    expect(probe().calls).toEqual(['onStart', 'onStop']);
  });

  it('while the next life waits for its time: it never begins', async () => {
    await runner.start();
    probe().again('again');
    await settle();
    await runner.stop();
    await advance(10 * RESTART_MS);
    expect(probes).toHaveLength(1);
    expect(driver.events.at(-1)).toBe('1 stopped');
  });

  it('while the driver is asked for a new life: it never begins', async () => {
    await runner.start();
    probe().again('again');
    await settle();
    driver.renewals = [];
    await advance(RESTART_MS);
    const stopped = runner.stop();
    await settle();
    for (const renew of driver.renewals) renew();
    await stopped;
    expect(probes).toHaveLength(1);
  });

  it('while the next life starts: it is stopped once it has', async () => {
    const { opened, open } = gate();
    next.push(
      async () => new Probe(),
      async () => new Probe({ onStart: () => opened }),
    );
    await runner.start();
    probe().again('again');
    await settle();
    await advance(RESTART_MS);
    const stopped = runner.stop();
    open();
    await stopped;
    expect(probe(1).calls).toEqual(['onStart', 'onStop']);
  });
});

describe('an idempotency key', () => {
  const options = { idempotency: { key: 'k', digest: 'd' } };

  it('stays claimed when its records are registered', async () => {
    await runner.start();
    const stored = probe().put(['a'], options);
    await advance(INTERVAL_MS);
    await stored;
    expect(driver.released).toEqual([]);
  });

  it('is given back when its records cannot be stored', async () => {
    await runner.start();
    await expect(probe().put(['\ud800'], options)).rejects.toThrow('lone surrogate');
    expect(driver.released).toEqual(['k']);
  });

  it('is given back when its block is refused', async () => {
    await runner.start();
    desk.refusal = 'a gap';
    const refused = expect(probe().put(['a'], options)).rejects.toThrow('a gap');
    await advance(INTERVAL_MS);
    await refused;
    expect(driver.released).toEqual(['k']);
  });

  it('is given back when there was nothing to store', async () => {
    await runner.start();
    await probe().put([], options);
    expect(driver.released).toEqual(['k']);
  });

  it('is given back when the receiver has stopped', async () => {
    await runner.start();
    await runner.stop();
    await expect(probe().put(['a'], options)).rejects.toThrow('stopping');
    expect(driver.released).toEqual(['k']);
  });
});
