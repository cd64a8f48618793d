/** Which IP version a text is an address of. */

const part = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const version4 = new RegExp(`^${part}(?:\\.${part}){3}$`);

/** 0 when it is no address. */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (version4.test(text)) return 4;
  // The URL parser knows the many forms of version 6; only its characters are let through to it.
  return /^[0-9a-fA-F:.]+$/.test(text) && text.includes(':') && URL.canParse(`http://[${text}]/`) ? 6 : 0;
}
