/** Where a stream may be used: in the whole pipeline, or in the function given to `transform`,
 * where it has stateless operators only.
 *
 * A stream of the pipeline can stand where one inside `transform` is asked for, and not the other
 * way round. Operators that need more than their batch (windows, state, outputs) ask for a stream
 * of the pipeline by their `this`; the others hand on the scope that they are called with. So each
 * operator is declared once. For the type checker only: at run time the graph builder refuses.
 * @module */

/** Of a stream inside `transform` it is either: nobody may rely on the pipeline's operators. */
export type StreamScope = 'pipeline' | 'inside transform';

/** The function of `transform`. It may also be one whose parameters are said to be whole streams,
 * such as a function that is used elsewhere, too: what it does is looked at when the graph is
 * built. Without types of its own its streams have stateless operators only. */
export type TransformFunction<Streams extends readonly unknown[], Result> = {
  call(...streams: Streams): Result;
}['call'];
