/**
 * Who may import whom: checked on the import statements themselves. Every rule names a folder and says what to do when it
 * fires; there are no exceptions to add, code is moved or an interface is widened instead.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

interface Import {
  readonly from: string;
  /** A path from the repository's root, `node:name`, or a package's name. */
  readonly to: string;
}

interface Rule {
  readonly name: string;
  readonly from: RegExp;
  readonly except?: RegExp;
  /** What files matched by `from` may import of this project. */
  readonly mayImport?: RegExp;
  /** What they must not import, anywhere. */
  readonly mustNotImport?: RegExp;
  /** What they must not import through any number of files. */
  readonly mustNotReach?: RegExp;
  readonly instead: string;
}

const adapters =
  /^src\/(env\/real|env\/real-log|cli\/[^/]+|cluster\/(balancer|pki)|proto\/[^/]+|rpc\/([^/]+\/)?[^/]+|raft\/host\/(grpc-[^/]+|message-wire)|raft\/wal\/[^/]+|kv\/(rpc|client|http|gateway|v2)\/([^/]+\/)?[^/]+|kv\/backend\/level(-scan-(thread|worker))?|kv\/auth\/bcrypt-(passwords|worker)|control\/client\/(http-client|health-server|server-pool)|control\/apiserver\/(server|[^/]*-adapter|kubelet-[^/]+|tls[^/]*)|node\/kubelet\/(server|[^/]*-adapter)|node\/volumes\/[^/]+|node\/net\/[^/]+|node\/dns\/[^/]+|node\/cri\/(grpc-cri|oci-image))\.ts$/;

const rules: readonly Rule[] = [
  {
    name: 'env-is-the-bottom',
    from: /^src\/env\//,
    mayImport: /^src\/env\//,
    instead: 'env is the seam to the world; it knows nothing above it.',
  },
  {
    name: 'rpc-carries-anything',
    from: /^src\/rpc\//,
    mayImport: /^src\/(rpc|env)\//,
    instead: 'Frames, streams and TLS, for the store and for Raft: what a message means is in the method given to it.',
  },
  {
    name: 'core-is-pure',
    from: /^src\/raft\/core\//,
    mayImport: /^src\/(raft\/core\/|env\/(assert|errors)\.ts)/,
    mustNotImport: /^(?!src\/)/,
    instead: 'The core gets ticks and messages and returns Ready: pass data in. No node: builtin and no package.',
  },
  {
    name: 'wal-decides-nothing',
    from: /^src\/raft\/wal\//,
    mayImport: /^(src\/(raft\/(wal|core)\/|env\/)|proto\/gen\/)/,
    instead: 'The log stores entries; it decides nothing.',
  },
  {
    name: 'raft-is-below-the-store',
    from: /^src\/raft\//,
    mayImport: /^(src\/(raft|env|proto|rpc)\/|proto\/gen\/)/,
    instead: 'Raft replicates bytes; it does not know what they mean.',
  },
  {
    name: 'mvcc-does-not-know-raft',
    from: /^src\/kv\/(mvcc|backend|lease)\//,
    mayImport: /^src\/(kv\/((mvcc|backend|lease)\/|api\.ts|errors\.ts)|env\/)/,
    instead: 'A single-machine data structure; replication calls it.',
  },
  {
    name: 'apply-is-deterministic',
    from: /^src\/kv\/apply\//,
    mayImport:
      /^src\/(kv\/((apply|mvcc|backend|lease)\/|auth\/(contract|guard|intervals|table)\.ts|api\.ts|errors\.ts)|env\/(assert|errors)\.ts)/,
    instead: 'Apply sees the entry and the state: no clock, random, disk or network.',
  },
  {
    name: 'store-uses-raft-by-its-face',
    from: /^src\/kv\/(server|rpc)\//,
    mayImport: /^(src\/(kv\/|rpc\/|env\/|proto\/|raft\/(index|host\/[^/]+|core\/types|wal\/[^/]+)\.ts)|proto\/gen\/)/,
    instead: 'Reach Raft through src/raft/index.ts.',
  },
  {
    name: 'store-client-stands-alone',
    from: /^src\/kv\/client\//,
    mayImport:
      /^(src\/(kv\/(client\/|rpc\/(codec|wire|services|int64)[^/]*|api\.ts|errors\.ts)|rpc\/grpc-status\.ts|env\/|proto\/)|proto\/gen\/)/,
    instead: 'The client works against real etcd too.',
  },
  {
    name: 'api-is-data',
    from: /^src\/control\/api\//,
    mayImport: /^src\/(control\/api\/|env\/(assert|errors)\.ts)/,
    instead: 'Kinds are data and pure functions.',
  },
  {
    name: 'storage-is-the-only-door',
    from: /^src\/control\/(apiserver|client|controllers|scheduler)\//,
    mayImport: /^(src\/(control\/|env\/|proto\/)|proto\/gen\/)/,
    instead: 'Only control/storage speaks keys and revisions.',
  },
  {
    name: 'storage-uses-the-store-by-its-face',
    from: /^src\/control\/storage\//,
    mayImport: /^src\/(control\/(storage|api)\/|kv\/index\.ts|env\/)/,
    instead: 'Reach the store through src/kv/index.ts.',
  },
  {
    name: 'client-speaks-http-only',
    from: /^src\/control\/client\//,
    mayImport: /^src\/(control\/(client|api)\/|env\/)/,
    instead: 'Clients run against a real kube-apiserver unchanged.',
  },
  {
    name: 'controllers-use-the-client',
    from: /^src\/control\/controllers\//,
    mayImport: /^src\/(control\/(controllers|client|api)\/|env\/)/,
    instead: 'A controller sees the cluster through the API and nothing else; it never meets the scheduler.',
  },
  {
    name: 'scheduler-uses-the-client',
    from: /^src\/control\/scheduler\//,
    mayImport: /^src\/(control\/(scheduler|client|api)\/|env\/)/,
    instead: 'The scheduler sees the cluster through the API; it never meets a controller.',
  },
  {
    name: 'plans-are-pure',
    from: /(^|\/)(plan-[^/]+|[^/]+-plan)\.ts$/,
    except: /^(test|src\/cluster)\//,
    mustNotReach: /^(src\/env\/(clock|random|disk|process|env|real)\.ts|node:.*|@grpc\/.*)$/,
    instead: 'A plan maps observed state to actions; reading and doing happen in the caller.',
  },
  {
    name: 'apply-cannot-reach-the-world',
    from: /^src\/kv\/apply\//,
    mustNotReach: /^src\/env\/(clock|random|disk|process|env|real)\.ts$/,
    instead: 'Not even through a helper: every member must apply the same bytes to the same state.',
  },
  {
    name: 'node-is-a-client',
    from: /^src\/node\//,
    mayImport: /^(src\/(node\/|control\/(client|api)\/|env\/|proto\/)|proto\/gen\/)/,
    instead: 'The agent is a client of the API, never of the store.',
  },
  {
    name: 'real-env-only-at-the-root',
    from: /^src\//,
    except: /^src\/cli\//,
    mustNotImport: /^src\/env\/real(-log)?\.ts$/,
    instead: 'Only a composition root in src/cli builds the real world: take what you need from Env.',
  },
  {
    name: 'checkers-share-no-code-with-what-they-judge',
    from: /^chaos\/check\//,
    except: /^chaos\/check\/main\.ts$/,
    mayImport:
      /^(chaos\/check\/|src\/env\/(assert|errors)\.ts|src\/raft\/core\/(types|raft|conf-change-codec)\.ts|src\/kv\/server\/entry\.ts)/,
    instead: 'A judge who asks the accused finds nothing: what a store is has a model of its own in chaos/check.',
  },
  {
    name: 'scenarios-are-data',
    from: /^chaos\/scenario\//,
    mayImport: /^(chaos\/scenario\/|src\/env\/(assert|errors)\.ts)/,
    mustNotReach: /^(node:.*|src\/env\/(clock|random|disk|process|env|real)\.ts)$/,
    instead: 'A fault is a value; each world carries it out by itself.',
  },
  {
    name: 'reports-know-the-record-only',
    from: /^chaos\/report\//,
    mayImport: /^(chaos\/(report|scenario)\/|src\/env\/|src\/cli\/flags\.ts|src\/control\/client\/health-server\.ts)/,
    instead: 'Whatever a report shows is in the record of the run, and in the words of the fault language.',
  },
  {
    name: 'src-never-imports-tests',
    from: /^src\//,
    mustNotImport: /^(chaos|test|bench|scripts)\//,
    instead: 'Production code cannot see the simulator or the tests.',
  },
  {
    name: 'io-has-an-address',
    from: /^src\//,
    except: adapters,
    mustNotImport:
      /^(node:)?(fs|fs\/promises|net|http|http2|https|tls|dgram|child_process|worker_threads|timers|timers\/promises|os|perf_hooks)$/,
    instead: 'Take the capability from src/env, or put the socket into one of the named adapter files.',
  },
  {
    name: 'grpc-lives-in-named-files',
    from: /^src\//,
    except: adapters,
    mustNotImport: /^@grpc\//,
    instead: 'gRPC is an adapter: grpc-*.ts, kv/rpc, kv/client or src/proto.',
  },
];

/** What runs by itself: programs, and threads that are started by their path. */
const entries: readonly string[] = [
  'src/cli/entry.ts',
  'src/kv/auth/bcrypt-worker.ts',
  'src/kv/backend/level-scan-worker.ts',
];

/** Far fewer modules than the project has means that the check saw nothing. */
const modulesMin = 60;

function files(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return files(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(root: string, path: string): Import[] {
  const text = readFileSync(path, 'utf8');
  const found: Import[] = [];
  for (const [, specifier] of text
    .matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g,
    )
    .map((match) => [match[0], match[1] ?? match[2] ?? match[3]] as const)) {
    if (specifier === undefined) continue;
    const to = specifier.startsWith('.') ? relative(root, resolve(dirname(path), specifier)) : specifier;
    found.push({ from: relative(root, path), to });
  }
  return found;
}

function unreachableProblems(imports: readonly Import[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to]);
  const problems: string[] = [];
  for (const rule of rules) {
    const forbidden = rule.mustNotReach;
    if (forbidden === undefined) continue;
    for (const start of next.keys()) {
      if (!rule.from.test(start) || rule.except?.test(start)) continue;
      const seen = new Set([start]);
      for (const file of seen) {
        for (const to of next.get(file) ?? []) {
          if (forbidden.test(to))
            problems.push(`${start} reaches ${to} through ${file}: ${rule.name}: ${rule.instead}`);
          else seen.add(to);
        }
      }
    }
  }
  return problems;
}

/** One line for every import that breaks a rule, and for every file of src/ that nobody imports. */
export function checkLayering(root: string): { readonly problems: readonly string[]; readonly modules: number } {
  const paths = ['src', 'chaos', 'bench', 'test', 'scripts'].flatMap((folder) => files(join(root, folder)));
  const imports = paths.flatMap((path) => importsOf(root, path));
  const problems: string[] = [];
  for (const { from, to } of imports) {
    for (const rule of rules) {
      if (!rule.from.test(from) || rule.except?.test(from)) continue;
      const isProject = /^(src|proto|chaos|test|bench|scripts)\//.test(to);
      const bad =
        (isProject && rule.mayImport !== undefined && !rule.mayImport.test(to)) ||
        rule.mustNotImport?.test(to) === true;
      if (bad) problems.push(`${from} imports ${to}: ${rule.name}: ${rule.instead}`);
    }
  }
  problems.push(...unreachableProblems(imports));
  const imported = new Set(imports.map(({ to }) => to));
  for (const path of paths.map((each) => relative(root, each))) {
    if (path.startsWith('src/') && !entries.includes(path) && !imported.has(path))
      problems.push(`${path}: nobody imports it: delete it, or use it`);
  }
  if (paths.length < modulesMin)
    problems.push(
      `the layering check saw ${paths.length} modules, want at least ${modulesMin}: it looks in the wrong place`,
    );
  return { problems, modules: paths.length };
}
