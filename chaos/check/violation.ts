/** A broken promise: which property, in one sentence, and what was seen. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly property: string;
  constructor(property: string, detail: string) {
    super(`${property}: ${detail}`);
    this.property = property;
  }
}
