/** Methods that do what a test of a server needs, over bytes as messages. */
import type { AnswerStream, Call, Codec, RequestSink, RpcMethod, StatusError } from '../../../src/rpc/service.ts';

const bytesCodec: Codec<object, object> = {
  decode: (bytes) => {
    if (bytes.length === 3 && bytes[0] === 0xff) throw new Error('no such message');
    return bytes;
  },
  encode: (answer) => answer as Uint8Array,
};
const textOf = (message: object) => Buffer.from(message as Uint8Array).toString();

/** One stream as its handler sees it. */
export interface SeenStream {
  readonly answers: AnswerStream<object>;
  readonly requests: Buffer[];
  /** `request`, `ended`, `drained`, `gone`, in order. */
  readonly told: string[];
}

export interface TestMethods {
  readonly methods: readonly RpcMethod[];
  /** Calls of /test.Echo/Wait that run. */
  readonly waiting: { readonly call: Call; readonly aborted: Promise<StatusError>; answer(): void }[];
  /** Streams of /test.Echo/Hold. */
  readonly held: SeenStream[];
  /** Resolves when `isTrue`, looked at whenever a handler is told something. */
  until(isTrue: () => boolean, what: string): Promise<void>;
}

export function createTestMethods(): TestMethods {
  const waiting: TestMethods['waiting'] = [];
  const held: SeenStream[] = [];
  const looks = new Set<() => void>();
  const changed = () => {
    for (const look of looks) look();
  };
  const until = (isTrue: () => boolean, what: string) =>
    new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        looks.delete(look);
        reject(new Error(`${what} within ten seconds`));
      }, 10_000);
      const look = () => {
        if (!isTrue()) return;
        looks.delete(look);
        clearTimeout(late);
        resolve();
      };
      looks.add(look);
      look();
    });
  const unary = (name: string, handle: (request: object, call: Call) => Promise<object>): RpcMethod => ({
    kind: 'unary',
    path: `/test.Echo/${name}`,
    codec: bytesCodec,
    handle,
  });
  const stream = (
    name: string,
    isRequestStream: boolean,
    open: (answers: AnswerStream<object>) => Partial<RequestSink<object>>,
  ): RpcMethod => ({
    kind: 'stream',
    path: `/test.Echo/${name}`,
    isRequestStream,
    codec: bytesCodec,
    open: (answers) => ({
      request: () => undefined,
      ended: () => undefined,
      drained: () => undefined,
      gone: () => undefined,
      ...open(answers),
    }),
  });
  const methods = [
    unary('Unary', async (request) => request),
    unary('Fail', async (request) => {
      throw JSON.parse(textOf(request));
    }),
    unary('Throw', async (request) => {
      throw new Error(textOf(request));
    }),
    unary('Metadata', async (request, call) => Buffer.from(JSON.stringify(call.metadata(textOf(request))))),
    unary('Peer', async (_request, call) => Buffer.from(JSON.stringify([call.peer, call.clientCommonName ?? null]))),
    unary('Wait', (request, call) => {
      const answered = Promise.withResolvers<object>();
      const aborted = new Promise<StatusError>((resolve) => {
        call.signal.addEventListener('abort', () => resolve(call.signal.reason as StatusError), { once: true });
      });
      waiting.push({ call, aborted, answer: () => answered.resolve(request) });
      changed();
      return answered.promise;
    }),
    stream('Bidi', true, (answers) => ({
      request: (message) => void answers.write(message),
      ended: () => answers.end(),
    })),
    // Answers with the sum of what came.
    stream('Sum', true, (answers) => {
      let sum = 0;
      return {
        request: (message) => {
          sum += (message as Uint8Array).length;
        },
        ended: () => {
          answers.write(Buffer.from(String(sum)));
          answers.end();
        },
      };
    }),
    // `count size`: as many messages of that size, as fast as they are read.
    stream('Count', false, (answers) => {
      let left = 0;
      let size = 0;
      const go = () => {
        while (left > 0) {
          left--;
          if (!answers.write(Buffer.alloc(size, left))) return;
        }
        answers.end();
      };
      return {
        request: (message) => {
          [left, size] = textOf(message).split(' ').map(Number) as [number, number];
          go();
        },
        drained: go,
      };
    }),
    stream('FailLate', false, (answers) => ({
      request: (message) => {
        answers.write(message);
        answers.fail({ code: 5, details: 'nach der Antwort: nicht mehr da — 終' });
      },
    })),
    // Does nothing by itself.
    stream('Hold', true, (answers) => {
      const seen: SeenStream = { answers, requests: [], told: [] };
      held.push(seen);
      const tell = (what: string) => () => {
        seen.told.push(what);
        changed();
      };
      changed();
      return {
        request: (message) => {
          seen.requests.push(Buffer.from(message as Uint8Array));
          tell('request')();
        },
        ended: tell('ended'),
        drained: tell('drained'),
        gone: tell('gone'),
      };
    }),
  ];
  return { methods, waiting, held, until };
}
