/** How a network treats what members tell each other. */
export interface NetworkConditions {
  readonly delayMinMs: number;
  readonly delayMeanMs: number;
  /** Share of messages, 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
}

export const calm: NetworkConditions = { delayMinMs: 0.2, delayMeanMs: 1, loss: 0, duplication: 0 };
