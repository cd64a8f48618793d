/**
 * A real browser for tests of pages: Debian's chromium without a window, told what to do over a pipe (Chrome's DevTools protocol,
 * JSON messages that end with a zero byte). It opens files of ours, listens nowhere, and everything it asks of a network is noted.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** The program, where one is installed. */
export function findChromium(): string | undefined {
  const places = (process.env['PATH'] ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return names.flatMap((name) => places.map((place) => join(place, name))).find((path) => existsSync(path));
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Record<string, any>;
  readonly result?: any;
  readonly error?: { readonly message: string };
}

/** A browser that does not answer within this is broken: a page of a hundred thousand operations takes two seconds. */
const answerTimeoutMs = 60_000;

export class Chromium {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, { resolve: (result: any) => void; reject: (error: Error) => void }>();
  readonly #listeners = new Set<(message: Message) => void>();
  #nextId = 1;
  #rest = '';

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child;
    this.#profile = profile;
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (chunk: string) => this.#receive(chunk));
    child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`chromium ended with code ${code}`));
      this.#waiting.clear();
    });
  }

  static async start(path: string): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'keelson-chromium-'));
    // No sandbox of its own: tests run as root, which it refuses otherwise. It sees nothing but files made by the test.
    const args = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--no-default-browser-check',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
      'about:blank',
    ];
    const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    return new Chromium(child, profile);
  }

  #receive(chunk: string): void {
    const parts = (this.#rest + chunk).split('\0');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) {
      const message = JSON.parse(part) as Message;
      const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
      if (waiting === undefined) for (const listener of this.#listeners) listener(message);
      else {
        this.#waiting.delete(message.id ?? 0);
        if (message.error === undefined) waiting.resolve(message.result);
        else waiting.reject(new Error(message.error.message));
      }
    }
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<any> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`chromium did not answer ${method}`)), answerTimeoutMs);
      const done = <T>(act: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          act(value);
        };
      };
      this.#waiting.set(id, { resolve: done(resolve), reject: done(reject) });
      const message = JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) });
      (this.#child.stdio[3] as Writable).write(`${message}\0`);
    });
  }

  /** Opens a page of its own and resolves when it is loaded and drawn. */
  async open(url: string, size: { readonly width: number; readonly height: number }): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page((method, params) => this.send(method, params, sessionId));
    let loaded = (): void => undefined;
    const hasLoaded = new Promise<void>((resolve) => {
      loaded = resolve;
    });
    this.#listeners.add((message) => {
      if (message.sessionId !== sessionId) return;
      page.hear(message.method ?? '', message.params ?? {});
      if (message.method === 'Page.loadEventFired') loaded();
    });
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await page.send(`${domain}.enable`);
    await page.send('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false });
    await page.send('Page.navigate', { url });
    await hasLoaded;
    await page.settle();
    return page;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null) {
      // It may be gone before it has answered; that it ends is waited for below.
      this.send('Browser.close').catch(() => undefined);
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Page {
  /** Errors and warnings: thrown, logged, or of the browser itself, such as what the page's policy refused. */
  readonly complaints: string[] = [];
  /** Everything that was asked for, the page itself among it. */
  readonly requests: string[] = [];
  readonly send: (method: string, params?: object) => Promise<any>;

  constructor(send: (method: string, params?: object) => Promise<any>) {
    this.send = send;
  }

  hear(method: string, params: Record<string, any>): void {
    if (method === 'Network.requestWillBeSent') this.requests.push(String(params['request'].url));
    if (method === 'Runtime.exceptionThrown') this.complaints.push(JSON.stringify(params['exceptionDetails']));
    if (method === 'Log.entryAdded') this.complaints.push(String(params['entry'].text));
    if (method === 'Runtime.consoleAPICalled') this.complaints.push(JSON.stringify(params['args']));
  }

  /** The value of an expression, or of what it promises, as JSON can carry it. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return answer.result.value as T;
  }

  /** Waits until what was asked to be drawn is. */
  settle(): Promise<unknown> {
    return this.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))');
  }

  async key(key: string): Promise<void> {
    const text = key.length === 1 ? { text: key } : {};
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', key, ...text });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key });
    await this.settle();
  }

  async mouse(type: 'mouseMoved' | 'mousePressed' | 'mouseReleased', at: { x: number; y: number }): Promise<void> {
    const button = type === 'mouseMoved' ? {} : { button: 'left', clickCount: 1, buttons: 1 };
    await this.send('Input.dispatchMouseEvent', { type, ...at, ...button });
    await this.settle();
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    return Buffer.from(data, 'base64');
  }
}
