/**
 * Quantities: exact decimal numbers with upstream's suffixes and canonical form (`1500m`, `128Mi`, `2e3`).
 *
 * A quantity is `mantissa * 10^exponent10`, with the exponent chosen so that the mantissa is exact. Upstream rounds
 * anything finer than a nano up, away from zero, and so does this.
 *
 *     1.5Gi -> 1610612736 * 10^0, format binary -> '1536Mi'
 */
import { assert } from '../../env/assert.ts';

export type QuantityFormat = 'binarySI' | 'decimalSI' | 'decimalExponent';

export interface Quantity {
  /** Billionths. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const nanosPerOne = 1_000_000_000n;
const pattern = /^([+-]?)(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[A-Za-z]*)$/;
const patternText = '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$';
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** By power of ten; the empty suffix is 0. */
const decimalSuffixes: readonly (readonly [string, number])[] = [
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
];
/** Upstream caps quantities at 2^63-1. */
const onesMax = 9223372036854775807n;
/** Digits that a sane client never exceeds; beyond them the text is refused instead of computed. */
const exponentMax = 40;
const textLengthMax = 128;

/** Throws QuantityError with upstream's text. */
export function parseQuantity(text: string | number): Quantity {
  const source = String(text);
  if (source === '') throw new QuantityError(`quantities must match the regular expression '${patternText}'`);
  const match = source.length > textLengthMax ? null : pattern.exec(source);
  if (match === null) throw new QuantityError(`quantities must match the regular expression '${patternText}'`);
  const [, sign = '', digits = '', suffix = ''] = match;
  const [whole = '', fraction = ''] = digits.split('.');
  const mantissa = BigInt(`${whole}${fraction}` || '0');
  const scale = scaleOf(suffix);
  // Everything is computed in nanos; what is finer is rounded up, away from zero.
  const power = scale.exponent10 - fraction.length + 9;
  const scaled = mantissa * scale.factor;
  let nanos = power >= 0 ? scaled * 10n ** BigInt(power) : divideUp(scaled, 10n ** BigInt(-power));
  if (nanos > onesMax * nanosPerOne) nanos = onesMax * nanosPerOne;
  // Upstream's rule: a binary suffix on a value below 1024 that is not whole falls back to decimal.
  const format = scale.format === 'binarySI' && nanos % nanosPerOne !== 0n ? 'decimalSI' : scale.format;
  return { nanos: sign === '-' ? -nanos : nanos, format };
}

function scaleOf(suffix: string): { factor: bigint; exponent10: number; format: QuantityFormat } {
  const binary = suffix === '' ? -1 : binarySuffixes.indexOf(suffix);
  if (binary > 0) return { factor: 1024n ** BigInt(binary), exponent10: 0, format: 'binarySI' };
  const decimal = decimalSuffixes.find(([name]) => name === suffix);
  if (decimal !== undefined) return { factor: 1n, exponent10: decimal[1], format: 'decimalSI' };
  if (/^[eE][+-]?\d+$/.test(suffix)) {
    const exponent10 = Number(suffix.slice(1));
    if (Math.abs(exponent10) > exponentMax) throw new QuantityError("unable to parse quantity's suffix");
    return { factor: 1n, exponent10, format: 'decimalExponent' };
  }
  if (!/^[eEinumkKMGTP]+$/.test(suffix)) {
    throw new QuantityError(`quantities must match the regular expression '${patternText}'`);
  }
  throw new QuantityError("unable to parse quantity's suffix");
}

function divideUp(value: bigint, by: bigint): bigint {
  assert(by > 0n, 'a divisor must be positive');
  return (value + by - 1n) / by;
}

/** Upstream's canonical text: no fraction, the largest suffix that keeps the mantissa whole. */
export function formatQuantity(quantity: Quantity): string {
  const { nanos, format } = quantity;
  if (nanos === 0n) return '0';
  const sign = nanos < 0n ? '-' : '';
  const absolute = nanos < 0n ? -nanos : nanos;
  if (format === 'binarySI' && absolute % nanosPerOne === 0n && absolute >= 1024n * nanosPerOne) {
    let ones = absolute / nanosPerOne;
    let power = 0;
    while (ones % 1024n === 0n && power < binarySuffixes.length - 1) {
      ones /= 1024n;
      power++;
    }
    return `${sign}${ones}${binarySuffixes[power]}`;
  }
  let mantissa = absolute;
  let exponent10 = -9;
  while (mantissa % 1000n === 0n && exponent10 < 18) {
    mantissa /= 1000n;
    exponent10 += 3;
  }
  if (format === 'decimalExponent') return `${sign}${mantissa}${exponent10 === 0 ? '' : `e${exponent10}`}`;
  const suffix = decimalSuffixes.find(([, power]) => power === exponent10);
  assert(suffix !== undefined, () => `an exponent must have a suffix: ${exponent10}`);
  return `${sign}${mantissa}${suffix[0]}`;
}

/** `0.5` -> `500m`: what upstream would write for it. */
export function canonicalQuantity(text: string | number): string {
  return formatQuantity(parseQuantity(text));
}

/** Negative, zero or positive. */
export function compareQuantity(a: Quantity, b: Quantity): number {
  return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;
}

/** Keeps the format of `a`, unless `a` is zero. */
export function addQuantity(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

export function subtractQuantity(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos - b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

/** Whole units, rounded up: bytes of memory. */
export function quantityToNumber(quantity: Quantity): number {
  const { nanos } = quantity;
  const ones = nanos >= 0n ? divideUp(nanos, nanosPerOne) : nanos / nanosPerOne;
  return Number(ones);
}

/** Thousandths, rounded up: millicores of CPU. */
export function quantityToMillis(quantity: Quantity): number {
  const { nanos } = quantity;
  const perMilli = nanosPerOne / 1000n;
  return Number(nanos >= 0n ? divideUp(nanos, perMilli) : nanos / perMilli);
}

function readQuantity(value: unknown): Quantity | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  try {
    return parseQuantity(value);
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
    throw error;
  }
}

/** A field that should hold a quantity as the nearest plain number (`500m` is 0.5); undefined when it holds none. */
export function quantityValue(value: unknown): number | undefined {
  const quantity = readQuantity(value);
  if (quantity === undefined) return undefined;
  const { nanos } = quantity;
  // Apart, because the whole units of a large amount would lose digits as billionths.
  return Number(nanos / nanosPerOne) + Number(nanos % nanosPerOne) / Number(nanosPerOne);
}

/** The same in whole units, rounded up. */
export function quantityUnits(value: unknown): number | undefined {
  const quantity = readQuantity(value);
  return quantity === undefined ? undefined : quantityToNumber(quantity);
}

/** The same in thousandths, rounded up, as CPU is counted. */
export function quantityMillis(value: unknown): number | undefined {
  const quantity = readQuantity(value);
  return quantity === undefined ? undefined : quantityToMillis(quantity);
}
