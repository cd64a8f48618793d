/**
 * One message to many receivers that differs only in a number, as the events of one key to all that watch it. It is
 * encoded once and written for each receiver right to where it is sent from. It must not change any more.
 */
export interface SharedMessage {
  /** Bytes of the message for one receiver. */
  length(number: number): number;
  /** Writes as many bytes to `target` and returns where they end. */
  writeTo(target: Uint8Array, from: number, number: number): number;
}

/** The same as a handler has it, for servers that send something else than its bytes. */
export interface SharedAnswer<Answer> {
  of(number: number): Answer;
  /** The same object each time. */
  encoded(): SharedMessage;
}
