/**
 * What the tests of bad input and abuse need: commands run to their end as a user would run them, a fingerprint of a
 * directory to see that nothing in it was touched, and the certificates of a cluster in files.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { request } from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureAuthority, issueLeaf } from '../../src/cluster/pki.ts';
import { realClock, realDisk, realRandom } from '../../src/env/real.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const keelson = join(root, 'bin/keelson');
/** Wrong input is found in the first second; the rest is for a machine that is busy with other things. */
const answerTimeoutMs = 20_000;

export interface Answer {
  /** Null when it had to be killed because it did not end by itself. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Compiled once for all the commands of a test: they start in half the time. */
const compileCache = mkdtempSync(join(tmpdir(), 'keelson-compile-cache-'));
process.once('exit', () => rmSync(compileCache, { recursive: true, force: true }));
const environment = { ...process.env, NODE_COMPILE_CACHE: compileCache };

/** Runs `keelson` with these arguments until it ends by itself, or kills it after the time-out. */
export function runKeelson(args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(keelson, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), answerTimeoutMs);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

/** The one line a command refuses with: it must end by itself, fail, and say all of `says` in one line and nothing else. */
export async function refusal(args: readonly string[], says: readonly (string | RegExp)[]): Promise<void> {
  const answer = await runKeelson(args);
  const shown = `keelson ${args.join(' ')}\nexit ${answer.code}\n${answer.stdout}${answer.stderr}`;
  assert.ok(answer.code !== null, `it ends by itself within ${answerTimeoutMs} ms: ${shown}`);
  assert.ok(answer.code === 1 || answer.code === 2, `it fails with 1 or 2: ${shown}`);
  assert.equal(answer.stderr.trimEnd().split('\n').length, 1, `it says one line: ${shown}`);
  assert.match(answer.stderr, new RegExp(`^keelson ${args[0]}: `), shown);
  for (const part of says) {
    if (typeof part === 'string') assert.ok(answer.stderr.includes(part), `it says ${part}: ${shown}`);
    else assert.match(answer.stderr, part, shown);
  }
}

/** Every name below `directory` with its kind, size, time of the last change, and the hash of its content. */
export async function fingerprint(directory: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const entry of (await readdir(directory, { recursive: true })).sort()) {
    const path = join(directory, entry);
    const stat = await lstat(path);
    const content = stat.isFile()
      ? createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
      : '';
    // A directory's time changes with the names in it, which are all listed.
    lines.push(stat.isDirectory() ? `${entry}/` : `${entry} ${stat.size} ${stat.mtimeMs} ${content}`);
  }
  return lines;
}

export interface ClusterFiles {
  readonly ca: string;
  readonly serving: { readonly cert: string; readonly key: string };
  /** Of a user in group system:masters. */
  readonly admin: { readonly cert: string; readonly key: string };
  readonly serviceAccount: { readonly publicKey: string; readonly privateKey: string };
}

/** Certificates and keys of an API server and of an administrator, in files below `directory`. */
export async function makeClusterFiles(directory: string): Promise<ClusterFiles> {
  await mkdir(directory, { recursive: true });
  const env = { clock: realClock, random: realRandom, disk: realDisk };
  const authority = await ensureAuthority(env, directory, 'ca', 'test authority');
  const write = async (name: string, request: Parameters<typeof issueLeaf>[2]) => {
    const leaf = await issueLeaf(env, authority, request);
    const paths = { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
    await writeFile(paths.cert, leaf.certificatePem);
    await writeFile(paths.key, leaf.keyPem);
    return paths;
  };
  const serving = await write('serving', {
    commonName: 'server',
    hosts: ['127.0.0.1', 'localhost'],
    usages: ['server', 'client'],
  });
  const admin = await write('admin', {
    commonName: 'kubernetes-admin',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const serviceAccount = { publicKey: join(directory, 'sa.pub'), privateKey: join(directory, 'sa.key') };
  await writeFile(serviceAccount.publicKey, pair.publicKey);
  await writeFile(serviceAccount.privateKey, pair.privateKey);
  return { ca: join(directory, 'ca.crt'), serving, admin, serviceAccount };
}

export function apiServerFlags(files: ClusterFiles, storeUrl: string): readonly string[] {
  return [
    '--bind-address=127.0.0.1',
    '--secure-port=0',
    `--etcd-servers=${storeUrl}`,
    `--tls-cert-file=${files.serving.cert}`,
    `--tls-private-key-file=${files.serving.key}`,
    `--client-ca-file=${files.ca}`,
    `--service-account-key-file=${files.serviceAccount.publicKey}`,
    `--service-account-signing-key-file=${files.serviceAccount.privateKey}`,
  ];
}

export interface RunningApiServer {
  readonly port: number;
  readonly pid: number;
  readonly output: () => string;
  stop(): Promise<void>;
}

/** Starts `keelson apiserver` on a port of the system's choice; resolves once its first objects are in the store. */
export async function startApiServer(
  files: ClusterFiles,
  storeUrl: string,
  flags: readonly string[] = [],
): Promise<RunningApiServer> {
  const child: ChildProcess = spawn(keelson, ['apiserver', ...apiServerFlags(files, storeUrl), ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the API server is not ready:\n${output}`)), 40_000);
    child.once('exit', (code) => reject(new Error(`the API server ended with ${code}:\n${output}`)));
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (!output.includes('bootstrap objects are in place')) return;
      clearTimeout(timer);
      resolve();
    });
  }).catch(async (error: unknown) => {
    child.kill('SIGKILL');
    await exited;
    throw error;
  });
  const port = Number(/"port":(\d+)/.exec(output)?.[1]);
  assert.ok(port > 0, `the API server names its port: ${output}`);
  return {
    port,
    pid: child.pid as number,
    output: () => output,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

export interface HttpAnswer {
  readonly status: number;
  /** The body of a Kubernetes Status, or of the object. */
  // biome-ignore lint: answers of any kind
  readonly body: any;
}

/** One request to an API server as the administrator, over a connection of its own. */
export function callApi(
  api: { readonly port: number },
  tls: ApiTls,
  method: string,
  path: string,
  body?: { readonly type?: string; readonly bytes: Uint8Array | string },
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: api.port,
        method,
        path,
        agent: false,
        timeout: answerTimeoutMs,
        ...tls,
        headers: body === undefined ? {} : { 'content-type': body.type ?? 'application/json' },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = answer.headers['content-type']?.startsWith('application/json');
          resolve({ status: answer.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
        });
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)));
    outgoing.once('error', reject);
    outgoing.end(body?.bytes);
  });
}

export interface ApiTls {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export async function readApiTls(files: ClusterFiles): Promise<ApiTls> {
  const [ca, cert, key] = await Promise.all([
    readFile(files.ca),
    readFile(files.admin.cert),
    readFile(files.admin.key),
  ]);
  return { ca, cert, key };
}
