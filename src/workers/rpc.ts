/** comlink, made safe for an engine: the only importer of comlink.
 *
 * Three things that comlink does not do (tried on 4.4.2, Node 20): calls to a thread that dies stay
 * pending for ever, so a guard rejects them; errors lose code, name and cause, so they travel as
 * WireError; its node adapter has no types, so it is loaded here, once. @module */
import { createRequire } from 'node:module';
import type { MessagePort, Worker } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { MillraceError } from '../core/errors.ts';
import { fromWireError, toWireError } from '../serde/wire-error.ts';
import type { WireError } from '../serde/wire-error.ts';

type NodeEndpoint = (port: Worker | MessagePort) => Comlink.Endpoint;
const require = createRequire(import.meta.url);
const nodeEndpoint = require('comlink/dist/umd/node-adapter.js') as NodeEndpoint;

const comlinkThrow = Comlink.transferHandlers.get('throw');

/** comlink's handler of thrown values, replaced on both sides: importing this file is enough. */
Comlink.transferHandlers.set('throw', {
  // comlink marks thrown values with a private symbol that only its own test knows.
  canHandle: (value): value is { value: unknown } => comlinkThrow?.canHandle(value) ?? false,
  serialize: (thrown: { value: unknown }) => [toWireError(thrown.value), []],
  deserialize: (wire: WireError): never => {
    throw fromWireError(wire);
  },
});

/** Offers `api` to the other side of `port`. */
export function exposeApi(api: object, port: MessagePort): void {
  Comlink.expose(api, nodeEndpoint(port));
}

/** Marks an object whose methods the other side may call. The caller keeps it alive. */
export function callbackObject<T extends object>(target: T): T {
  return Comlink.proxy(target);
}

/** Wraps a thread's remote object so that no await hangs: when the thread exits, calls in flight
 * and all later ones reject with EXECUTOR_DIED (comlink alone leaves them pending for ever). */
export function guardRemote<T extends object>(worker: Worker, name: string): T {
  const remote = Comlink.wrap<Record<string, (...args: unknown[]) => unknown>>(
    nodeEndpoint(worker),
  );
  const pending = new Set<(cause: Error) => void>();
  let ended: Error | undefined;
  const end = (cause: Error): void => {
    ended ??= cause;
    for (const reject of pending) reject(ended);
    pending.clear();
  };
  worker.once('error', (cause) => {
    end(new MillraceError('EXECUTOR_DIED', `${name} failed: ${cause.message}`, { cause }));
  });
  worker.once('exit', (code) => {
    end(new MillraceError('EXECUTOR_DIED', `${name} exited with code ${code}`));
  });
  const call = (method: string, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      pending.add(reject);
      const settled = (): boolean => pending.delete(reject);
      const answer = remote[method] as (...args: unknown[]) => Promise<unknown>;
      answer(...args)
        .then(resolve, reject)
        .finally(settled);
    });
  return new Proxy({} as T, {
    get(_, key) {
      // Without this an await on the proxy itself would call a remote method named `then`.
      if (typeof key === 'symbol' || key === 'then') return undefined;
      return (...args: unknown[]) => call(key, args);
    },
  });
}
