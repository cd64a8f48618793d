/** Everything that this folder uses of the kinds, in one place. */
export * from '../api/index.ts';
