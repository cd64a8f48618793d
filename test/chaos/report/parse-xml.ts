/** Reads XML strictly, as much of it as JUnit files have: elements, attributes, text, the five entities and numbers. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: XmlElement[];
  text: string;
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescape(text: string): string {
  if (/[<]|&(?!#\d+;|\w+;)/.test(text)) throw new Error(`unescaped text: ${text.slice(0, 80)}`);
  return text.replace(/&(#?\w+);/g, (_, name: string) => {
    const found = name.startsWith('#') ? String.fromCodePoint(Number(name.slice(1))) : entities[name];
    if (found === undefined) throw new Error(`no entity ${name}`);
    return found;
  });
}

/** The root element. Throws where the text is not well-formed. */
export function parseXml(text: string): XmlElement {
  if (/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u.test(text))
    throw new Error('a character XML cannot hold');
  const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!text.startsWith(declaration)) throw new Error('no declaration');
  const root: XmlElement = { name: '', attributes: {}, children: [], text: '' };
  const open: XmlElement[] = [root];
  const tag = /<(\/?)([A-Za-z][\w.-]*)((?:\s+[\w.-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
  tag.lastIndex = declaration.length;
  while (tag.lastIndex < text.length) {
    const place = tag.lastIndex;
    const match = tag.exec(text);
    if (match === null) throw new Error(`not well-formed at ${place}: ${text.slice(place, place + 60)}`);
    const [, close, name = '', attributeText = '', isEmpty, content] = match;
    const parent = open.at(-1);
    if (parent === undefined) throw new Error('more ends than begins');
    if (content !== undefined) parent.text += unescape(content);
    else if (close === '/') {
      if (open.pop()?.name !== name) throw new Error(`${name} ends what did not begin`);
    } else {
      const attributes: Record<string, string> = {};
      for (const [, key = '', value = ''] of attributeText.matchAll(/([\w.-]+)="([^"]*)"/g)) {
        if (Object.hasOwn(attributes, key)) throw new Error(`${key} twice`);
        attributes[key] = unescape(value);
      }
      const element: XmlElement = { name, attributes, children: [], text: '' };
      parent.children.push(element);
      if (isEmpty !== '/') open.push(element);
    }
  }
  const [only] = root.children;
  if (open.length !== 1 || only === undefined || root.children.length !== 1) throw new Error('not one root element');
  return only;
}
