/**
 * Which operations are wanted. All of what is set must hold; an empty choice holds always.
 *
 * @typedef {import('./record.js').Operation} Operation
 */

/**
 * @typedef {object} Filter
 * @property {string} text any part of what was asked or answered, whatever the case; `#12` is an id
 * @property {string} client
 * @property {string} kind
 * @property {string} outcome
 * @property {string} member position, as text
 */

/** @type {Filter} */
export const everything = { text: '', client: '', kind: '', outcome: '', member: '' };

/**
 * @param {readonly Operation[]} operations
 * @param {Filter} filter
 * @returns {Operation[]}
 */
export function filterOperations(operations, filter) {
  const text = filter.text.trim().toLowerCase();
  const id = /^#\d+$/.test(text) ? Number(text.slice(1)) : undefined;
  const client = filter.client === '' ? undefined : Number(filter.client);
  const member = filter.member === '' ? undefined : Number(filter.member);
  return operations.filter((one) => {
    if (client !== undefined && one.client !== client) return false;
    if (member !== undefined && one.member !== member) return false;
    if (filter.kind !== '' && one.kind !== filter.kind) return false;
    if (filter.outcome !== '' && one.outcome !== filter.outcome) return false;
    if (text === '') return true;
    if (id !== undefined) return one.id === id;
    return one.text.toLowerCase().includes(text) || (one.answer?.toLowerCase().includes(text) ?? false);
  });
}

/** @param {Filter} filter */
export function isFiltering(filter) {
  return Object.values(filter).some((value) => value.trim() !== '');
}

/**
 * The values of one property, each once, in order: what a filter can be set to.
 *
 * @param {readonly Operation[]} operations
 * @param {'client' | 'kind'} property
 */
export function choicesOf(operations, property) {
  const values = [...new Set(operations.map((one) => one[property]))];
  return values.sort((a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : 1)).map(String);
}
