/** As much of a browser as a page with uPlot's plots needs, to run its scripts as they stand in the
 * file: elements that keep their children, and canvases that note what is drawn on them.
 *
 * No layout, no events, no time, no network: a script that asks for more throws. @module */
import { createContext, runInContext } from 'node:vm';

export interface RunPage {
  /** Texts and shapes that were drawn below the element with this id: `text sync`, `fill 3 rects`. */
  readonly drawnIn: (id: string) => readonly string[];
}

/** Runs all scripts of `html`. Resolves when what they have put off is done. @throws what a script
 *   throws. */
export async function runPage(html: string): Promise<RunPage> {
  const elements = new Map<string, TinyElement>();
  for (const [, id = ''] of html.matchAll(/<div id="([^"]+)"><\/div>/g)) {
    elements.set(id, new TinyElement('div'));
  }
  const texts = new Map<string, string>();
  const scripts: string[] = [];
  for (const [, attributes = '', text = ''] of html.matchAll(/<script([^>]*)>(.*?)<\/script>/gs)) {
    const [, id] = /id="([^"]+)"/.exec(attributes) ?? [];
    if (attributes.includes('application/json') && id !== undefined) texts.set(id, text);
    // A module with no imports, made a script.
    else scripts.push(text.replaceAll(/^export (?:\{\};)?/gm, ''));
  }
  const failures: unknown[] = [];
  const context = createContext(worldOf(elements, texts, failures));
  for (const script of scripts) runInContext(script, context);
  await new Promise((resolve) => setImmediate(resolve));
  if (failures.length > 0) throw failures[0];
  return { drawnIn: (id) => elements.get(id)?.drawn ?? [] };
}

function worldOf(
  elements: ReadonlyMap<string, TinyElement>,
  texts: ReadonlyMap<string, string>,
  failures: unknown[],
): object {
  const world = {
    document: {
      getElementById: (id: string) => {
        const textContent = texts.get(id);
        return textContent === undefined ? (elements.get(id) ?? null) : { textContent };
      },
      createElement: (name: string) => new TinyElement(name),
      body: new TinyElement('body'),
    },
    navigator: { language: 'en-US' },
    devicePixelRatio: 1,
    matchMedia: () => ({ addEventListener: ignore, removeEventListener: ignore }),
    addEventListener: ignore,
    removeEventListener: ignore,
    Path2D: TinyPath,
    CustomEvent: TinyEvent,
    HTMLElement: TinyElement,
    dispatchEvent: ignore,
    queueMicrotask: (callback: () => void) => {
      queueMicrotask(() => {
        try {
          callback();
        } catch (error) {
          failures.push(error);
        }
      });
    },
  };
  return Object.assign(world, { window: world });
}

const ignore = (): void => undefined;

class TinyEvent {}

class TinyPath {
  rectCount = 0;
  pointCount = 0;
  rect(): void {
    this.rectCount += 1;
  }
  roundRect(): void {
    this.rectCount += 1;
  }
  moveTo(): void {
    this.pointCount += 1;
  }
  lineTo(): void {
    this.pointCount += 1;
  }
  arc(): void {
    this.pointCount += 1;
  }
  addPath(): void {}
  closePath(): void {}
}

class TinyElement {
  readonly style: Record<string, string> = {};
  readonly classList = { add: ignore, remove: ignore, toggle: ignore, contains: () => false };
  readonly clientWidth = 900;
  readonly name: string;
  className = '';
  textContent = '';
  readonly childNodes: TinyElement[] = [];
  readonly #calls: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get drawn(): string[] {
    return [...this.#calls, ...this.childNodes.flatMap((child) => child.drawn)];
  }

  /** The text of an element without others in it. */
  get firstChild(): object {
    return this.childNodes[0] ?? {};
  }

  appendChild(child: TinyElement): TinyElement {
    this.childNodes.push(child);
    return child;
  }

  insertBefore(child: TinyElement): TinyElement {
    return this.appendChild(child);
  }

  getBoundingClientRect() {
    return { left: 0, top: 0, right: 900, bottom: 300, width: 900, height: 300 };
  }

  addEventListener(): void {}
  removeEventListener(): void {}
  setAttribute(): void {}
  dispatchEvent(): void {}
  remove(): void {}

  /** Of a canvas. */
  getContext(): object {
    const calls = this.#calls;
    const told = (what: string, path: unknown): void => {
      if (!(path instanceof TinyPath)) calls.push(what);
      else if (path.rectCount > 0) calls.push(`${what} ${path.rectCount} rects`);
      else calls.push(`${what} ${path.pointCount} points`);
    };
    const known = {
      fillText: (text: string) => void calls.push(`text ${text}`),
      fill: (path?: unknown) => told('fill', path),
      stroke: (path?: unknown) => told('stroke', path),
      measureText: (text: string) => ({ width: 6 * text.length }),
    };
    // What only sets a state or moves the pen.
    return new Proxy<Record<string, unknown>>(known, {
      get: (has, key) => has[String(key)] ?? ignore,
    });
  }
}
