/**
 * Turns every proto/*.proto into proto/gen/<name>.json: protobufjs descriptors that the program loads at start.
 *
 * Imports are resolved inside proto/ and bundled. Field names become camelCase; the proto's own spelling stays in
 * `protoName`. The output is committed, so that running Keelson needs no code generator; `--check` compares instead of
 * writing and exits 1 when a descriptor is stale.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pbjs from 'protobufjs-cli/pbjs.js';

const protoDirectory = fileURLToPath(new URL('../proto/', import.meta.url));
const genDirectory = join(protoDirectory, 'gen');

function describe(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    pbjs.main(['--target', 'json', '--path', protoDirectory, path], (error, output) => {
      if (error) reject(error);
      else resolve(`${output ?? ''}\n`);
    });
  });
}

const isCheck = process.argv.includes('--check');
mkdirSync(genDirectory, { recursive: true });
const sources = readdirSync(protoDirectory).filter((name) => name.endsWith('.proto'));
if (sources.length === 0) throw new Error(`no .proto file in ${protoDirectory}`);
for (const source of sources.sort()) {
  const target = join(genDirectory, `${basename(source, '.proto')}.json`);
  const wanted = await describe(join(protoDirectory, source));
  if (!isCheck) {
    writeFileSync(target, wanted);
    console.log(`proto/gen/${basename(target)}: ${wanted.length} bytes`);
    continue;
  }
  let current = '';
  try {
    current = readFileSync(target, 'utf8');
  } catch {
    // A descriptor that was never generated is as stale as an old one.
  }
  if (current !== wanted) {
    console.error(
      `proto/gen/${basename(target)} does not fit proto/${source}: run "npm run proto" and commit the result`,
    );
    process.exitCode = 1;
  }
}
