/** The wish to stop: a signal, closed output, a supervisor that is gone. Asked once; a signal
 * after that ends the process at once.
 *
 * A request may come before there is anything to stop, so it is kept until someone asks.
 * @module */

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** What a process that a signal ends exits with, by convention: 128 + its number. */
const SIGNAL_EXIT_CODES: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };
export const STOP_SIGNALS = Object.keys(SIGNAL_EXIT_CODES) as readonly StopSignal[];

export interface StopRequestOptions {
  /** The first request: says that the run is stopping. */
  readonly onFirst: (reason: string) => void;
  /** A signal after that: must end the process. */
  readonly onSecond: (exitCode: number) => void;
  /** Under a supervisor a repeated signal is its matter: a terminal and an init system send theirs
   * to both processes, and the supervisor passes its own on as well. */
  readonly isSupervised: () => boolean;
}

export class StopRequest {
  readonly #options: StopRequestOptions;
  #isMade = false;
  #resolve: () => void = () => {};
  /** Resolves when a stop is asked for. */
  readonly made: Promise<void>;

  constructor(options: StopRequestOptions) {
    this.#options = options;
    this.made = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get isMade(): boolean {
    return this.#isMade;
  }

  /** Asks for a graceful stop; repeated calls change nothing. */
  make(reason: string): void {
    if (this.#isMade) return;
    this.#isMade = true;
    this.#options.onFirst(reason);
    this.#resolve();
  }

  /** A signal has arrived. */
  signal(name: StopSignal): void {
    if (!this.#isMade) this.make(`${name} received`);
    else if (!this.#options.isSupervised()) this.#options.onSecond(SIGNAL_EXIT_CODES[name]);
  }
}
