/** `npm run bench -- <what>`: measures one part of Keelson, against its real peer where one is installed. */
const benches: Readonly<Record<string, () => Promise<{ run(args: readonly string[]): Promise<void> }>>> = {
  store: () => import('./store.ts'),
  h2: () => import('./h2.ts'),
};

const [name = '', ...rest] = process.argv.slice(2);
const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (load === undefined) {
  process.stderr.write(`bench: want one of: ${Object.keys(benches).join(', ')}\n`);
  process.exitCode = 2;
} else {
  await (await load()).run(rest);
}
