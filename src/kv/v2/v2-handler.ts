/**
 * `/v2/`: etcd's first API for the tools that still speak it (`--enable-v2`). Keys with values, times to live,
 * directories, comparisons and long polls; and the list of members, which its clients ask for first.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { assert } from '../../env/assert.ts';
import { KvError } from '../errors.ts';
import { isMethodAllowed, send, sendNotFound, sendText } from '../http/answers.ts';
import { readBody } from '../http/body.ts';
import type { PathHandler } from '../http/handler.ts';
import type { From } from '../server/auth-contract.ts';
import type { KvServer } from '../server/contract.ts';
import { hexId } from '../server/upkeep.ts';
import { V2Error } from './errors.ts';
import { Form } from './form.ts';
import { NodeWriter } from './node-json.ts';
import { cleanPath } from './records.ts';
import { type Change, V2Tree } from './tree.ts';
import { waitFor } from './wait.ts';

const keysPrefix = '/v2/keys';
/** Digits of a name that the server gives, so that names sort as they were made. */
const orderedNameDigits = 20;

export function createV2Handler(server: KvServer): PathHandler {
  return async (request, response, url) => {
    const { pathname } = url;
    if (pathname === keysPrefix || pathname.startsWith(`${keysPrefix}/`)) {
      const path = pathIn(pathname.slice(keysPrefix.length));
      if (path === undefined) return sendText(response, 400, 'Bad Request\n');
      return new KeysRequest(server, request, response, { url, path }).run();
    }
    const members = /^\/v2\/(members(?:\/leader)?|machines)\/?$/.exec(pathname)?.[1];
    if (members === undefined) return sendNotFound(response);
    if (isMethodAllowed(request, response, ['GET', 'HEAD'])) await sendMembers(server, members, response);
  };
}

async function sendMembers(server: KvServer, what: string, response: ServerResponse): Promise<void> {
  const known = await server.members(false);
  response.setHeader('x-etcd-cluster-id', clusterIdOf(server));
  const members = known.map(({ id, name, peerUrls, clientUrls }) => ({
    id: hexId(id),
    name,
    peerURLs: peerUrls,
    clientURLs: clientUrls,
  }));
  if (what === 'machines') {
    return send(response, 200, 'text/plain', known.flatMap(({ clientUrls }) => clientUrls).join(', '));
  }
  const leader = members.find(({ id }) => id === hexId(server.position().leader));
  const body = what === 'members' ? { members } : leader;
  if (!body) return send(response, 503, 'application/json', JSON.stringify({ message: 'During election' }));
  send(response, 200, 'application/json', `${JSON.stringify(body)}\n`);
}

/** Undefined when the escapes in it are no text. */
function pathIn(escaped: string): string | undefined {
  try {
    return cleanPath(decodeURIComponent(escaped));
  } catch {
    return undefined;
  }
}

function clusterIdOf(server: KvServer): string {
  return server.clusterId.toString(16);
}

class KeysRequest {
  readonly #server: KvServer;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #url: URL;
  readonly #path: string;
  readonly #from: From;
  readonly #tree: V2Tree;
  readonly #writer: NodeWriter;

  constructor(
    server: KvServer,
    request: IncomingMessage,
    response: ServerResponse,
    { url, path }: { readonly url: URL; readonly path: string },
  ) {
    this.#server = server;
    this.#request = request;
    this.#response = response;
    this.#url = url;
    this.#path = path;
    // Users of the first API were others than today's: while auth is on, nobody comes in this way.
    this.#from = { metadata: () => [], clientCommonName: undefined };
    this.#tree = new V2Tree(server, this.#from);
    this.#writer = new NodeWriter(this.#tree, () => server.clock.wallMs());
  }

  async run(): Promise<void> {
    if (!isMethodAllowed(this.#request, this.#response, ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'])) return;
    this.#response.setHeader('x-etcd-cluster-id', clusterIdOf(this.#server));
    try {
      const body = await readBody(this.#request, this.#server.limits.requestBytesMax);
      if (!body) throw new V2Error('invalidForm', 'the form is too large');
      const form = new Form(this.#url.searchParams, body.toString());
      switch (this.#request.method) {
        case 'PUT':
          return await this.#put(form);
        case 'POST':
          return await this.#post(form);
        case 'DELETE':
          return await this.#delete(form);
        default:
          return form.flag('wait') ? await this.#wait(form) : await this.#get(form);
      }
    } catch (error) {
      this.#sendError(error);
    }
  }

  async #get(form: Form): Promise<void> {
    const isRecursive = form.flag('recursive');
    form.flag('sorted');
    const listing = await this.#tree.get(this.#path, form.flag('quorum'));
    this.#send(200, listing.index, await this.#writer.listing(listing, isRecursive));
  }

  async #put(form: Form): Promise<void> {
    const isDirectory = form.flag('dir');
    const prevExist = form.maybeFlag('prevExist');
    const prevIndex = form.index('prevIndex');
    const isRefresh = form.flag('refresh');
    if (form.has('prevValue') && form.text('prevValue') === '') {
      throw new V2Error('prevValueRequired', '"prevValue" cannot be empty');
    }
    if (isRefresh && form.has('value')) throw new V2Error('refreshValue', 'A value was provided on a refresh');
    if (isRefresh && !form.has('ttl')) throw new V2Error('refreshTtlRequired', 'No TTL value set');
    const change = await this.#tree.set({
      path: this.#path,
      value: isDirectory ? undefined : form.text('value'),
      ttlSeconds: form.ttlSeconds(),
      isRefresh,
      ...(prevExist === undefined && !isRefresh ? {} : { prevExist: prevExist ?? true }),
      ...(form.has('prevValue') ? { prevValue: form.text('prevValue') } : {}),
      ...(prevIndex === undefined || prevIndex === 0 ? {} : { prevIndex }),
    });
    await this.#sendChange(change);
  }

  /** A new node under the path, named so that names sort as the nodes were made. */
  async #post(form: Form): Promise<void> {
    const directory = this.#path === '/' ? '' : this.#path;
    const value = form.flag('dir') ? undefined : form.text('value');
    const ttlSeconds = form.ttlSeconds();
    for (;;) {
      const next = String(this.#server.position().revision + 1).padStart(orderedNameDigits, '0');
      try {
        const path = `${directory}/${next}`;
        return await this.#sendChange(await this.#tree.set({ path, value, ttlSeconds, prevExist: false }));
      } catch (error) {
        // Somebody else was given this name; the revision has grown since.
        if (!(error instanceof V2Error && error.code === 'keyExists')) throw error;
      }
    }
  }

  async #delete(form: Form): Promise<void> {
    const prevIndex = form.index('prevIndex');
    if (form.has('prevValue') && form.text('prevValue') === '') {
      throw new V2Error('prevValueRequired', '"prevValue" cannot be empty');
    }
    const isRecursive = form.flag('recursive');
    const change = await this.#tree.delete({
      path: this.#path,
      isDirectory: form.flag('dir') || isRecursive,
      isRecursive,
      ...(form.has('prevValue') ? { prevValue: form.text('prevValue') } : {}),
      ...(prevIndex === undefined || prevIndex === 0 ? {} : { prevIndex }),
    });
    await this.#sendChange(change);
  }

  async #wait(form: Form): Promise<void> {
    const isStream = form.flag('stream');
    const response = this.#response;
    const request = { path: this.#path, isRecursive: form.flag('recursive'), index: form.index('waitIndex') ?? 0 };
    const begin = () => {
      if (response.headersSent) return;
      response.writeHead(200, this.#headers(this.#server.position().revision));
      // The client learns from which index on it waits before anything happens.
      response.flushHeaders();
    };
    const write = async (change: Change) => {
      begin();
      response.write(`${JSON.stringify(await this.#writer.change(change))}\n`);
      if (!isStream) response.end();
    };
    // One after another, as the time to live of each has to be asked for.
    let before: Promise<unknown> = Promise.resolve();
    const stop = await waitFor(this.#server, this.#from, request, {
      changed: (change) => {
        before = before.then(() => write(change)).catch(() => response.destroy());
        return isStream;
      },
      failed: (error) => (response.headersSent ? response.end() : this.#sendError(error)),
    });
    if (!response.writableEnded) begin();
    response.once('close', stop);
  }

  async #sendChange(change: Change): Promise<void> {
    const isNew = change.action === 'create' || (change.action === 'set' && !change.prevNode);
    this.#send(isNew ? 201 : 200, change.index, await this.#writer.change(change));
  }

  #headers(index: number): Readonly<Record<string, string>> {
    const { term } = this.#server.position();
    return {
      'content-type': 'application/json',
      'x-etcd-index': String(index),
      'x-raft-index': String(this.#server.status().raft.committed),
      'x-raft-term': String(term),
    };
  }

  #send(status: number, index: number, body: object): void {
    for (const [name, value] of Object.entries(this.#headers(index))) this.#response.setHeader(name, value);
    send(this.#response, status, 'application/json', `${JSON.stringify(body)}\n`);
  }

  #sendError(error: unknown): void {
    const index = this.#server.position().revision;
    const known = error instanceof V2Error ? error : ofStore(error);
    if (!known) throw error;
    this.#response.setHeader('x-etcd-index', String(index));
    const { number: errorCode, text: message, about: cause } = known;
    const body = JSON.stringify({ errorCode, message, cause, index });
    send(this.#response, known.httpStatus, 'application/json', `${body}\n`);
  }
}

/** What the store refuses, as the first API says it. */
function ofStore(error: unknown): V2Error | undefined {
  if (!(error instanceof KvError)) return undefined;
  assert(error.message !== '', 'an error has a text');
  const isDenied = error.grpcStatus === 7 || error.grpcStatus === 16 || error.message.includes('user name');
  return new V2Error(isDenied ? 'unauthorized' : 'raftInternal', error.message, { cause: error });
}
