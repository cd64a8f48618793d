/**
 * A client that is a user: fetches a token with its password when it has none, sends it with every call, and fetches
 * another one when a member no longer takes it. A call that is refused for its token has not been carried out, so it may
 * be sent again with a new one, whatever it is.
 */
import * as grpc from '@grpc/grpc-js';
import { present } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { kvErrors } from '../errors.ts';
import { authService } from '../rpc/services.ts';
import type { KvClientUser } from './contract.ts';

/** For one call. Tokens that go stale as fast as they are made mean that users or roles are being changed without pause. */
export const renewalsMax = 3;

const tokenRefusals: readonly string[] = [
  kvErrors.invalidAuthToken[1],
  kvErrors.authOldRevision[1],
  // Auth was off when the last token was asked for.
  kvErrors.userEmpty[1],
];

export class Session {
  readonly #user: KvClientUser;
  readonly #clock: Clock;
  /** '' = auth is off: none is needed. */
  #token: string | undefined;
  #fetching: Promise<string> | undefined;

  constructor(user: KvClientUser, clock: Clock) {
    this.#user = user;
    this.#clock = clock;
  }

  /** What goes with a call by `client`. Rejects with a grpc.ServiceError when there is no token to be had. */
  async metadata(client: grpc.Client, timeoutMs: number): Promise<grpc.Metadata> {
    const token = this.#token ?? (await this.#fetch(client, timeoutMs));
    const metadata = new grpc.Metadata();
    if (token !== '') metadata.set('token', token);
    return metadata;
  }

  /** True when an error with this text is about the token that was sent along: it is forgotten, and another one may do. */
  isRefusal(details: string, sent: grpc.Metadata): boolean {
    if (!tokenRefusals.includes(details)) return false;
    // Somebody else may have fetched a newer one meanwhile.
    if ((sent.get('token')[0] ?? '') === this.#token) this.#token = undefined;
    return true;
  }

  #fetch(client: grpc.Client, timeoutMs: number): Promise<string> {
    this.#fetching ??= this.#ask(client, timeoutMs)
      .then((token) => (this.#token = token))
      .finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  #ask(client: grpc.Client, timeoutMs: number): Promise<string> {
    const method = present(authService['Authenticate'], 'Authenticate method');
    const { name, password } = this.#user;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { name, password },
        new grpc.Metadata(),
        { deadline: this.#clock.wallMs() + timeoutMs },
        (error, answer) => {
          if (!error) resolve((answer as { readonly token: string }).token);
          else if (error.details === kvErrors.authNotEnabled[1]) resolve('');
          else reject(error);
        },
      );
    });
  }
}
