/** Random requests about users, roles and permissions, and requests to keys by users with and without them. */
import { deleteRange, type Dice, type Known, put, range, type Request, rangeEnd, txn } from './equality-requests.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const users = ['ann', 'bob', 'cat'];
const roles = ['reader', 'writer', 'all'];
/** The one password, so that whoever exists can come in. */
export const password = 'secret';

/** A request and who makes it: a user by the token of an earlier authentication, nobody, or somebody with a wrong token. */
export interface AuthStep {
  readonly request: Request;
  readonly as: string;
}

export function authStep(dice: Dice, known: Known): AuthStep {
  const request = dice.chance(0.55) ? authRequest(dice) : keyRequest(dice, known);
  return { request, as: dice.one(['root', 'root', 'root', 'ann', 'bob', 'cat', 'nobody', 'wrong token']) };
}

function authRequest(dice: Dice): Request {
  const user = dice.one([...users, 'root', 'ghost']);
  const role = dice.one([...roles, 'root', 'ghost']);
  const call = (method: string, request: object): Request => ({
    service: 'Auth',
    method,
    request: request as Request['request'],
  });
  const roll = dice.next();
  if (roll < 0.12) return call('UserAdd', { name: dice.chance(0.05) ? '' : user, password, ...options(dice) });
  if (roll < 0.15) return call('UserDelete', { name: user === 'root' ? 'ann' : user });
  if (roll < 0.19) return call('UserChangePassword', { name: user, password });
  if (roll < 0.31) return call('UserGrantRole', { user, role });
  if (roll < 0.35) return call('UserRevokeRole', { name: user === 'root' ? 'bob' : user, role });
  if (roll < 0.42) return call('UserGet', { name: user });
  if (roll < 0.46) return call('UserList', {});
  if (roll < 0.56) return call('RoleAdd', { name: dice.chance(0.05) ? '' : role });
  if (roll < 0.59) return call('RoleDelete', { role: role === 'root' ? 'all' : role });
  if (roll < 0.76) return call('RoleGrantPermission', { name: role, perm: permission(dice) });
  if (roll < 0.81) return call('RoleRevokePermission', { role, key: key(dice), rangeEnd: rangeEnd(dice) });
  if (roll < 0.88) return call('RoleGet', { role });
  if (roll < 0.92) return call('RoleList', {});
  if (roll < 0.97) return call('AuthEnable', {});
  return call('Authenticate', { name: user, password: dice.chance(0.5) ? 'wrong' : '' });
}

function options(dice: Dice): object {
  return dice.chance(0.1) ? { options: { noPassword: true } } : {};
}

/** 3.4 takes intervals without anything in them; since 3.5 they are refused, and what both then hold would part. */
function permission(dice: Dice): object {
  const from = key(dice);
  const to = rangeEnd(dice);
  const isSound = to.length === 0 || to.equals(bytes('\0')) || Buffer.compare(from, to) < 0;
  return { permType: dice.integer(0, 2), key: from, rangeEnd: isSound ? to : bytes('') };
}

function key(dice: Dice): Buffer {
  return bytes(dice.one(['a', 'ab', 'b', 'c', '\0']));
}

function keyRequest(dice: Dice, known: Known): Request {
  const roll = dice.next();
  if (roll < 0.4) return { service: 'KV', method: 'Range', request: { ...range(dice, known), revision: 0 } };
  if (roll < 0.65) return { service: 'KV', method: 'Put', request: { ...put(dice), lease: '0' } };
  if (roll < 0.8) return { service: 'KV', method: 'DeleteRange', request: deleteRange(dice) };
  return { service: 'KV', method: 'Txn', request: txn(dice, known, 1) };
}
