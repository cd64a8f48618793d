/**
 * Auth on one member: finds out who asks, makes tokens, and takes changes to users and roles to the log.
 *
 * Who asks is found where the request comes in. What they may do is decided where it counts: for writes when they are
 * applied, by the guard of the replicated state; for reads here, after the read point and with nothing in between.
 */
import { assert } from '../../env/assert.ts';
import type { Log } from '../../env/log.ts';
import type { ApplyResult, InternalOp, KvErrorCode, LeaseId, RangeRequest, TxnRequest, WatchRequest } from '../api.ts';
import type { KvState } from '../apply/contract.ts';
import type { Caller, Permission } from '../auth/contract.ts';
import { isBcryptHash, nobodysHash, type Passwords } from '../auth/passwords.ts';
import type { Tokens, TokenUser } from '../auth/tokens.ts';
import { KvError } from '../errors.ts';
import type { AuthServer, Credentials, From, NewUser, PasswordlessChange } from './auth-contract.ts';
import type { Proposer } from './proposer.ts';
import type { LinearizableReader } from './reader.ts';

/** Each one checks the password anew. Somebody changes users or roles without pause when this is not enough. */
const authenticateAttemptsMax = 5;

export interface AuthKeeperOptions {
  readonly log: Log;
  readonly kv: KvState;
  readonly proposer: Proposer;
  readonly reader: LinearizableReader;
  readonly tokens: Tokens;
  readonly passwords: Passwords;
  /** The common name of a verified client certificate is a user. */
  readonly isCommonNameUser: boolean;
}

type ReadRequest =
  | { readonly kind: 'range'; readonly request: RangeRequest }
  | { readonly kind: 'txn'; readonly request: TxnRequest };

export class AuthKeeper implements AuthServer {
  readonly #options: AuthKeeperOptions;
  readonly #kv: KvState;
  /** Tokens were made by entries; a state that was replaced as a whole may have other users. */
  #adoptions: number;

  constructor(options: AuthKeeperOptions) {
    this.#options = options;
    this.#kv = options.kv;
    this.#adoptions = options.kv.auth().adoptions();
  }

  isEnabled(): boolean {
    return this.#kv.auth().isEnabled();
  }

  revision(): number {
    return this.#kv.auth().revision();
  }

  /**
   * In whose name a request is carried out; undefined = nobody's, which is also the answer while auth is off. At once but
   * for a token of an entry that this member has yet to apply.
   */
  caller(from: From): Caller | undefined | Promise<Caller | undefined> {
    if (from === 'member') return from;
    if (from === undefined || !this.isEnabled()) return undefined;
    const token = from.metadata('token')[0] ?? from.metadata('authorization')[0];
    if (token !== undefined) return this.#userOf(token.replace(/^Bearer /, ''));
    return this.#options.isCommonNameUser ? this.#commonNameUser(from) : undefined;
  }

  /** For a read that is answered at once after this, from the state as it is now: it waits for nothing. */
  checkRead(caller: Caller | undefined, read: ReadRequest): void {
    refuse(this.#kv.guard().refusal(caller, read));
  }

  watchRefusal(request: WatchRequest, from: From): KvErrorCode | undefined | Promise<KvErrorCode | undefined> {
    if (!this.isEnabled()) return undefined;
    const decide = (caller: Caller | undefined) => this.#kv.guard().watchRefusal(caller, request);
    try {
      const caller = this.caller(from);
      return caller instanceof Promise ? caller.then(decide).catch(codeOf) : decide(caller);
    } catch (error) {
      return codeOf(error);
    }
  }

  async checkLease(from: From, access: 'read' | 'write', id: LeaseId): Promise<void> {
    if (!this.isEnabled()) return;
    const caller = await this.caller(from);
    if (caller === undefined) throw new KvError('userEmpty');
    refuse(this.#kv.guard().leaseRefusal(caller, access, id));
  }

  /** For keys that somebody else, the leader, has told. */
  async checkKeys(from: From, keys: readonly Uint8Array[]): Promise<void> {
    if (!this.isEnabled()) return;
    const caller = await this.caller(from);
    for (const key of keys) {
      refuse(this.#kv.guard().watchRefusal(caller, { key, rangeEnd: new Uint8Array(0) }));
    }
  }

  async checkLeases(from: From): Promise<void> {
    if (!this.isEnabled()) return;
    const caller = await this.caller(from);
    refuse(this.#kv.guard().leasesRefusal(caller));
  }

  async requireRoot(from: From): Promise<void> {
    if (!this.isEnabled()) return;
    const caller = await this.caller(from);
    refuse(this.#kv.auth().adminRefusal(caller));
  }

  async requireUser(from: From): Promise<void> {
    if (!this.isEnabled()) return;
    if ((await this.caller(from)) === undefined) throw new KvError('userEmpty');
  }

  async status(from: From) {
    refuse(this.#kv.auth().adminRefusal(await this.#readAs(from)));
    const auth = this.#kv.auth();
    return { isEnabled: auth.isEnabled(), authRevision: auth.revision() };
  }

  async authenticate(name: string, password: string): Promise<string> {
    const { passwords, reader, tokens, log } = this.#options;
    for (let attempt = 1; ; attempt++) {
      await reader.point();
      const auth = this.#kv.auth();
      if (!auth.isEnabled()) throw new KvError('authNotEnabled');
      const authRevision = auth.revision();
      const user = auth.user(name);
      if (user?.hasNoPassword) throw new KvError('passwordNotWanted');
      // Whoever does not exist is compared as well, so that the time taken does not tell.
      const isMatch = await passwords.matches(password, user?.passwordHash ?? nobodysHash(passwords.cost));
      if (!isMatch || user === undefined) {
        log.warn('invalid authentication was requested', { user: name });
        throw new KvError('authFailed');
      }
      // The password may have been changed, or the user deleted, while it was compared.
      if (auth.revision() === authRevision) {
        if (tokens.kind === 'signed') return tokens.sign({ user: name, authRevision });
        const token = await this.#tokenFromLog(name, authRevision);
        if (token !== undefined) return token;
      }
      if (attempt === authenticateAttemptsMax) throw new KvError('authOldRevision');
    }
  }

  async userAdd({ name, password, hashedPassword, hasNoPassword }: NewUser, from: From): Promise<void> {
    // Looked at before the hash is made: it costs much, and need not be made for everybody.
    await this.requireRoot(from);
    const passwordHash = hasNoPassword
      ? ''
      : password === '' && hashedPassword !== ''
        ? fromBase64(hashedPassword)
        : await this.#options.passwords.hash(password);
    await this.#propose({ kind: 'auth', change: { kind: 'userAdd', name, passwordHash, hasNoPassword } }, from);
  }

  async userChangePassword(user: Omit<NewUser, 'hasNoPassword'>, from: From): Promise<void> {
    await this.requireRoot(from);
    const { name, password, hashedPassword } = user;
    const passwordHash = password === '' ? fromBase64(hashedPassword) : await this.#options.passwords.hash(password);
    await this.#propose({ kind: 'auth', change: { kind: 'userChangePassword', name, passwordHash } }, from);
  }

  async change(change: PasswordlessChange, from: From): Promise<void> {
    await this.#propose({ kind: 'auth', change }, from);
  }

  async rolesOfUser(name: string, from: From): Promise<readonly string[]> {
    const caller = await this.#readAs(from);
    const error = this.#kv.auth().adminRefusal(caller);
    if (error !== undefined && !(isUser(caller) && caller.user === name)) throw new KvError(error);
    const user = this.#kv.auth().user(name);
    if (user === undefined) throw new KvError('userNotFound');
    return user.roles;
  }

  async users(from: From): Promise<readonly string[]> {
    refuse(this.#kv.auth().adminRefusal(await this.#readAs(from)));
    return this.#kv
      .auth()
      .users()
      .map(({ name }) => name);
  }

  async permissionsOfRole(name: string, from: From): Promise<readonly Permission[]> {
    const caller = await this.#readAs(from);
    const auth = this.#kv.auth();
    const error = auth.adminRefusal(caller);
    if (error !== undefined && !(isUser(caller) && auth.hasRole(caller.user, name))) throw new KvError(error);
    const role = auth.role(name);
    if (role === undefined) throw new KvError('roleNotFound');
    return auth.permissionsOf(role);
  }

  async roles(from: From): Promise<readonly string[]> {
    refuse(this.#kv.auth().adminRefusal(await this.#readAs(from)));
    return this.#kv
      .auth()
      .roles()
      .map(({ name }) => name);
  }

  /** Every applied request passes here, on every member. */
  applied(op: InternalOp, result: ApplyResult): void {
    if (op.kind !== 'auth' && op.kind !== 'authenticate') return;
    if (!result.ok) return;
    const { tokens } = this.#options;
    if (op.kind === 'authenticate') {
      assert(result.response.kind === 'authenticate', 'who authenticates is answered with a token');
      this.#forgetAfterAdoption();
      if (tokens.kind === 'logged') tokens.made(result.response.token, op.user);
      return;
    }
    const { change } = op;
    if (tokens.kind === 'logged') {
      if (change.kind === 'userDelete' || change.kind === 'userChangePassword') tokens.forgetUser(change.name);
      if (change.kind === 'disable') tokens.forgetAll();
    }
    this.#tell(change);
  }

  close(): void {
    this.#options.passwords.close();
  }

  /** Undefined when users or roles have changed since `authRevision`. */
  async #tokenFromLog(user: string, authRevision: number): Promise<string | undefined> {
    const { proposer, tokens } = this.#options;
    assert(tokens.kind === 'logged', 'signed tokens need no entry');
    try {
      const op: InternalOp = { kind: 'authenticate', user, tokenPrefix: tokens.newPrefix(), authRevision };
      const { response } = await proposer.propose(op, 'member');
      assert(response.kind === 'authenticate', 'who authenticates is answered with a token');
      return response.token;
    } catch (error) {
      if (codeOf(error) === 'authOldRevision') return undefined;
      throw error;
    }
  }

  async #propose(op: InternalOp, from: From): Promise<void> {
    const caller = await this.caller(from);
    await this.#options.proposer.propose(op, caller);
  }

  /** After a read point. */
  async #readAs(from: From): Promise<Caller | undefined> {
    await this.#options.reader.point();
    return this.caller(from);
  }

  #userOf(token: string): TokenUser | Promise<TokenUser> {
    const { tokens } = this.#options;
    this.#forgetAfterAdoption();
    const authRevision = this.#kv.auth().revision();
    const found = tokens.find(token, authRevision);
    if (found !== undefined) return found;
    const index = tokens.kind === 'logged' ? tokens.indexOf(token) : undefined;
    if (index === undefined || index <= this.#kv.consistentIndex()) throw this.#invalidToken();
    return this.#userOfCommitted(token);
  }

  /** A token that another member has just given out: its entry is committed, so it is here after a read point. */
  async #userOfCommitted(token: string): Promise<TokenUser> {
    await this.#options.reader.point();
    const found = this.#options.tokens.find(token, this.#kv.auth().revision());
    if (found === undefined) throw this.#invalidToken();
    return found;
  }

  #invalidToken(): KvError {
    // Not even a part of it: the log is read by more people than may use it.
    this.#options.log.warn('invalid auth token');
    return new KvError('invalidAuthToken');
  }

  #commonNameUser(from: Credentials): Caller | undefined {
    // The gateway’s own certificate says nothing about who uses the gateway.
    const name: unknown = from.clientCommonName;
    // A certificate with several names is nobody’s in particular.
    if (typeof name !== 'string' || from.metadata('grpcgateway-accept').length > 0) return undefined;
    return { user: name, authRevision: this.#kv.auth().revision() };
  }

  #forgetAfterAdoption(): void {
    const adoptions = this.#kv.auth().adoptions();
    if (adoptions === this.#adoptions) return;
    this.#adoptions = adoptions;
    if (this.#options.tokens.kind === 'logged') this.#options.tokens.forgetAll();
  }

  /** In etcd’s words where it has some. What is told never holds a hash. */
  #tell(change: Extract<InternalOp, { kind: 'auth' }>['change']): void {
    const { log } = this.#options;
    switch (change.kind) {
      case 'enable':
        return log.info('enabled authentication');
      case 'disable':
        return log.info('disabled authentication');
      case 'userAdd':
        return log.info('added a user', { user: change.name });
      case 'userDelete':
        return log.info('deleted a user', { user: change.name });
      case 'userChangePassword':
        return log.info('changed a password of a user', { user: change.name });
      case 'userGrantRole':
        return log.info('granted a role to a user', { user: change.name, role: change.role });
      case 'userRevokeRole':
        return log.info('revoked a role from a user', { user: change.name, role: change.role });
      case 'roleAdd':
        return log.info('created a role', { role: change.role });
      case 'roleDelete':
        return log.info('deleted a role', { role: change.role });
      case 'roleGrantPermission':
        return log.info('granted a permission to a role', { role: change.role, type: change.permission.type });
      case 'roleRevokePermission':
        return log.info('revoked a permission of a role', { role: change.role });
    }
  }
}

function refuse(error: KvErrorCode | undefined): void {
  if (error !== undefined) throw new KvError(error);
}

function isUser(caller: Caller | undefined): caller is TokenUser {
  return caller !== undefined && caller !== 'member';
}

/** The code of a KvError; anything else is thrown again. */
function codeOf(error: unknown): KvErrorCode {
  if (error instanceof KvError) return error.kv;
  throw error;
}

/** etcd takes bytes of any kind here, with which nobody can ever authenticate; this store wants a hash, or nothing. */
function fromBase64(text: string): string {
  const hash = Buffer.from(text, 'base64').toString('latin1');
  if (text !== '' && !isBcryptHash(hash)) throw new KvError('invalidAuthManagement');
  return hash;
}
