/** A broken promise: which property, in one sentence, and what was seen. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly property: string;
  /** The operations of the history that show it, where there are such. */
  readonly entries: readonly object[];
  constructor(property: string, detail: string, entries: readonly object[] = []) {
    super(`${property}: ${detail}`);
    this.property = property;
    this.entries = entries;
  }
}
