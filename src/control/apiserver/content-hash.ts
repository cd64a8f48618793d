/** What documents that change only with the program are told apart by, in their addresses and ETags. */
import { createHash } from 'node:crypto';

/** SHA-512 in upper-case hexadecimal digits, as kube-apiserver's. */
export function contentHash(text: string): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase();
}
