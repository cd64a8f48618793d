/**
 * Text of anybody, made safe for where it is put. A run's keys and values are arbitrary, and some of them are meant to
 * break things.
 */

/** HTML drops a zero without a word; it is shown as what nobody knows instead. */
const htmlEntities: Readonly<Record<string, string>> = {
  '\u0000': '\uFFFD',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For the content of an element and for a value in quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'\0]/g, (character) => htmlEntities[character] ?? character);
}

/** As for HTML; what XML 1.0 cannot hold at all, even escaped, is shown as U+FFFD. */
export function escapeXml(text: string): string {
  // Said as what XML can hold, the other way round; lone surrogates are not in it.
  const held = text.replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD');
  return escapeHtml(held).replace(/\r/g, '&#13;').replace(/\n/g, '&#10;').replace(/\t/g, '&#9;');
}

/** JSON for the inside of a script element: no `</script>` and no `<!--` can come of it. */
export function jsonForScript(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
