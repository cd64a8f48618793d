/** The pure parts: request attributes, negotiation, RBAC. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpv4Range } from '../../../src/control/apiserver/allocators.ts';
import { bodyFormat, negotiate } from '../../../src/control/apiserver/negotiation.ts';
import { qosClassOf } from '../../../src/control/apiserver/pod-strategy.ts';
import { describeRefusal, RbacIndex, ruleAllows } from '../../../src/control/apiserver/rbac.ts';
import { parseRequestInfo } from '../../../src/control/apiserver/request-info.ts';
import {
  clusterRole,
  clusterRoleBinding,
  group,
  role,
  roleBinding,
  rule,
  user,
} from '../../../src/control/apiserver/role-notation.ts';
import type { KubeObject } from '../../../src/control/api/contract.ts';

function attributes(method: string, path: string, query = '') {
  const info = parseRequestInfo(method, path, new URLSearchParams(query));
  assert.ok(info);
  const { verb, group: apiGroup, namespace, resource, subresource, name } = info;
  return [verb, apiGroup, namespace, resource, subresource, name].join('|');
}

test('paths and methods become attributes as in kube-apiserver', () => {
  const table: readonly (readonly [string, string, string, string])[] = [
    ['GET', '/api/v1/pods', '', 'list|||pods||'],
    ['GET', '/api/v1/namespaces/a/pods', 'watch=true', 'watch||a|pods||'],
    ['GET', '/api/v1/watch/namespaces/a/pods', '', 'watch||a|pods||'],
    ['GET', '/api/v1/namespaces/a/pods/b/log', '', 'get||a|pods|log|b'],
    ['POST', '/api/v1/namespaces/a/pods/b/binding', '', 'create||a|pods|binding|b'],
    ['GET', '/api/v1/namespaces/a', '', 'get||a|namespaces||a'],
    ['PUT', '/api/v1/namespaces/a/finalize', '', 'update||a|namespaces|finalize|a'],
    ['DELETE', '/apis/apps/v1/namespaces/a/deployments', '', 'deletecollection|apps|a|deployments||'],
    ['PATCH', '/apis/apps/v1/namespaces/a/deployments/d/status', '', 'patch|apps|a|deployments|status|d'],
    ['GET', '/api/v1/nodes', 'fieldSelector=metadata.name%3Dn1', 'list|||nodes||n1'],
    ['GET', '/version', '', 'get|||||'],
  ];
  for (const [method, path, query, expected] of table) assert.equal(attributes(method, path, query), expected, path);
  assert.equal(parseRequestInfo('GET', '/api/v1/pods/%zz', new URLSearchParams()), undefined);
});

test('the first acceptable clause wins', () => {
  const tables = (as: string) => as === 'Table';
  const kubectl =
    'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';
  assert.equal(negotiate(kubectl, tables)?.as, 'Table');
  assert.equal(negotiate(kubectl, () => false)?.as, '');
  assert.equal(negotiate('application/vnd.kubernetes.protobuf,application/json', tables)?.format, 'protobuf');
  assert.equal(negotiate('text/html;q=0.9,application/yaml;q=0.1,application/json;q=0.5', tables)?.format, 'json');
  assert.equal(negotiate(undefined, tables)?.format, 'json');
  assert.equal(negotiate('text/html', tables), undefined);
  assert.equal(bodyFormat('application/json; charset=utf-8'), 'json');
  assert.equal(bodyFormat('text/plain'), undefined);
});

const asked = (verb: string, resource: string, extra: Record<string, unknown> = {}) => ({
  verb,
  isResourceRequest: true,
  group: '',
  resource,
  subresource: '',
  name: '',
  namespace: '',
  path: '',
  ...extra,
});

test('rules match verbs, groups, resources, subresources and names', () => {
  assert.ok(ruleAllows(rule('get', 'core', 'pods'), asked('get', 'pods')));
  assert.ok(!ruleAllows(rule('get', 'core', 'pods'), asked('get', 'pods', { subresource: 'log' })));
  assert.ok(ruleAllows(rule('get', 'core', 'pods/log'), asked('get', 'pods', { subresource: 'log' })));
  assert.ok(ruleAllows(rule('*', '*', '*/status'), asked('update', 'pods', { subresource: 'status' })));
  assert.ok(!ruleAllows(rule('get', 'core', 'secrets', 'one'), asked('get', 'secrets', { name: 'two' })));
  assert.ok(!ruleAllows(rule('list', 'core', 'secrets', 'one'), asked('list', 'secrets')));
});

test('bindings reach their namespace only, and aggregated roles count at once', () => {
  const index = new RbacIndex({
    clusterRoles: [
      clusterRole('all-readers', [], { aggregates: 'readers' }),
      clusterRole('pod-reader', [rule('get', 'core', 'pods')], { aggregateTo: 'readers' }),
    ],
    roles: [role('a', 'writer', [rule('create', 'core', 'pods')])],
    clusterRoleBindings: [clusterRoleBinding('r', 'all-readers', [group('dev')])],
    roleBindings: [roleBinding('a', 'w', 'writer', [user('alice')])],
  });
  const alice = { name: 'alice', groups: ['dev'] };
  assert.ok(index.isAllowed(alice, asked('get', 'pods', { namespace: 'b' })));
  assert.ok(index.isAllowed(alice, asked('create', 'pods', { namespace: 'a' })));
  assert.ok(!index.isAllowed(alice, asked('create', 'pods', { namespace: 'b' })));
  assert.ok(!index.isAllowed({ name: 'bob', groups: [] }, asked('get', 'pods')));
  assert.ok(index.isAllowed({ name: 'root', groups: ['system:masters'] }, asked('delete', 'nodes')));
  assert.ok(index.covers(alice, 'a', [rule('get', 'core', 'pods')]));
  assert.ok(!index.covers(alice, 'a', [rule('get *', 'core', 'pods')]));
  assert.equal(
    describeRefusal(alice, asked('get', 'pods', { subresource: 'log', namespace: 'b' })),
    'User "alice" cannot get resource "pods/log" in API group "" in the namespace "b"',
  );
});

test('the class of service follows requests and limits', () => {
  const pod = (resources: object) => ({ spec: { containers: [{ name: 'a', resources }] } }) as unknown as KubeObject;
  assert.equal(qosClassOf(pod({})), 'BestEffort');
  assert.equal(qosClassOf(pod({ requests: { cpu: '1' } })), 'Burstable');
  assert.equal(qosClassOf(pod({ limits: { cpu: '1', memory: '1Gi' } })), 'Guaranteed');
  assert.equal(
    qosClassOf(pod({ requests: { cpu: '1000m', memory: '1Gi' }, limits: { cpu: '1', memory: '1024Mi' } })),
    'Guaranteed',
  );
});

test('only whole IPv4 ranges of a sensible size are taken', () => {
  assert.equal(parseIpv4Range('10.96.0.0/16')?.size, 65536);
  for (const text of ['10.96.0.1/16', '10.96.0.0', '10.0.0.0/8', '10.96.0.0/31', 'fd00::/64', '300.0.0.0/16']) {
    assert.equal(parseIpv4Range(text), undefined, text);
  }
});
