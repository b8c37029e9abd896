/** What a refused upgrade says of operators whose ids are from places. @module */
import type { OperatorPlaces } from '../dstream/operator-places.ts';

/** The id that an operator had from its place may be given to it by hand. */
export function giveId(id: string): string {
  return `write { id: '${id}' } where the operator stands now`;
}

export function anotherOne(id: string, places: OperatorPlaces): string {
  const now = places.likeliest(id).filter((other) => other !== id);
  const where = now.length === 0 ? '' : ` (the one that had it may be ${now.join(' or ')} now)`;
  return `another one has it now${where}:`;
}
