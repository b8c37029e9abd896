/** An input that never has anything, and never ends. @module */
import { Receiver } from 'millrace';

export class Silence extends Receiver<string> {
  onStart(): void {}
  onStop(): void {}
}
