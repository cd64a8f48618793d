/**
 * The script and the style of the page, read from `page/`. The script is a handful of modules for browsers, checked against the
 * browser's own types (`page/tsconfig.json`). A page that is opened from a file cannot import, so they become one module here:
 * put one after the other, without their imports and exports.
 *
 * They owe us: imports only of modules that stand before them, named exports of declarations only, and no name twice at top level.
 */
import { readFileSync } from 'node:fs';
import { assert } from '../../src/env/assert.ts';

/** Each after what it imports. */
export const scriptNames = [
  'record.js',
  'time-window.js',
  'filter.js',
  'layout.js',
  'colours.js',
  'draw-members.js',
  'draw-operations.js',
  'draw-chart.js',
  'find-at.js',
  'describe.js',
  'operation-list.js',
  'controls.js',
  'main.js',
] as const;

const importStatement = /^import\s[^;]*?from '\.\/([^']+)';\n/gm;

const readPart = (name: string): string => readFileSync(new URL(`page/${name}`, import.meta.url), 'utf8');

/** The modules named, in that order, as the text of one. */
export function joinModules(names: readonly string[], read: (name: string) => string): string {
  const parts = names.map((name, position) => {
    const source = read(name);
    for (const [, imported] of source.matchAll(importStatement)) {
      const before = names.indexOf(imported ?? '');
      assert(before >= 0 && before < position, () => `${name} imports ${imported}, which must stand before it`);
    }
    const joined = source
      .replace(importStatement, '')
      .replace(/^export (?=(?:async )?(?:function|const|let|class) )/gm, '');
    assert(!/^(import|export)\b/m.test(joined), () => `${name} must import and export by name, one line each`);
    assert(!/<\/script|<!--/i.test(joined), () => `${name} must not hold what ends or hides a script element`);
    return `// ${name}\n${joined}`;
  });
  return parts.join('\n');
}

export function pageScript(): string {
  return joinModules(scriptNames, readPart);
}

export function pageStyle(): string {
  const style = readPart('report.css');
  assert(!/<\/style/i.test(style), 'a style must not end its own element');
  return style;
}
