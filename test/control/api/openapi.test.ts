import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  openApiV2Document,
  openApiV2Protobuf,
  openApiV3Document,
  openApiV3Index,
  scheme,
} from '../../../src/control/api/index.ts';

test('the index has a hashed address for every group version', () => {
  const { paths } = openApiV3Index((text) => `${text.length}`);
  for (const { group, version } of scheme.resources()) {
    const key = group === '' ? `api/${version}` : `apis/${group}/${version}`;
    assert.match(paths[key].serverRelativeURL, new RegExp(`^/openapi/v3/${key}\\?hash=[0-9]+$`));
  }
  assert.equal(openApiV3Document('apis/nothing/v1'), undefined);
});

test('schemas say merge keys, list types, defaults and kinds', () => {
  const document = JSON.parse(openApiV3Document('apis/apps/v1') ?? '');
  const { schemas } = document.components;
  assert.deepEqual(schemas['io.k8s.api.apps.v1.Deployment']['x-kubernetes-group-version-kind'], [
    { group: 'apps', kind: 'Deployment', version: 'v1' },
  ]);
  const { description: _, ...ports } = schemas['io.k8s.api.core.v1.Container'].properties.ports;
  assert.deepEqual(ports, {
    type: 'array',
    items: { default: {}, allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.ContainerPort' }] },
    'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-patch-merge-key': 'containerPort',
    'x-kubernetes-patch-strategy': 'merge',
  });
  assert.equal(schemas['io.k8s.api.core.v1.ContainerPort'].properties.protocol.default, 'TCP');
});

test('paths say the kind of every operation and that a patch may be validated and dry', () => {
  const document = JSON.parse(openApiV3Document('apis/apps/v1') ?? '');
  const { patch } = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
  assert.equal(patch.operationId, 'patchAppsV1NamespacedDeployment');
  assert.deepEqual(patch['x-kubernetes-group-version-kind'], { group: 'apps', kind: 'Deployment', version: 'v1' });
  const names = patch.parameters.map((parameter: { name: string }) => parameter.name);
  assert.deepEqual(names, ['dryRun', 'fieldManager', 'fieldValidation', 'force']);
  assert(document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale'].put !== undefined);
});

test('every reference of every document leads somewhere', () => {
  const texts = [openApiV2Document()];
  for (const path of Object.keys(openApiV3Index(() => '')['paths'])) texts.push(openApiV3Document(path) ?? '');
  for (const text of texts) {
    const document = JSON.parse(text);
    const definitions = document.definitions ?? document.components.schemas;
    for (const [, name] of text.matchAll(/"\$ref":"#\/(?:definitions|components\/schemas)\/([^"]+)"/g)) {
      assert(definitions[name ?? ''] !== undefined, name);
    }
  }
});

test('the protobuf form begins with swagger 2.0', () => {
  assert.deepEqual([...openApiV2Protobuf().subarray(0, 5)], [0x0a, 3, 0x32, 0x2e, 0x30]);
});
