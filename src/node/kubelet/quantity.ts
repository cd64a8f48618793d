/** Kubernetes quantities as plain numbers, for limits handed to the kernel. Pure. */
const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** `500m` -> 0.5, `64Mi` -> 67108864; undefined when there is none or it cannot be read. */
export function quantityNumber(quantity: unknown): number | undefined {
  if (typeof quantity === 'number') return quantity;
  if (typeof quantity !== 'string') return undefined;
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]{0,2})$/.exec(quantity.trim());
  if (match === null) return undefined;
  const factor = suffixes[match[2] as string];
  const value = Number(match[1]);
  return factor === undefined || Number.isNaN(value) ? undefined : value * factor;
}

/** Milli-units rounded up, as CPU is counted. */
export function milliValue(quantity: unknown): number | undefined {
  const value = quantityNumber(quantity);
  return value === undefined ? undefined : Math.ceil(Math.round(value * 1e6) / 1e3);
}
