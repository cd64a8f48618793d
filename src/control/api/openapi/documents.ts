/**
 * The OpenAPI documents, made when first asked for and kept: they change only with the program. Version 3 has an index
 * and one document a group version, under a hash of its content so that clients can keep it; version 2 is one document.
 * The hash is the server's to make: kinds are data and reach no cryptography.
 */
import type { JsonObject } from '../contract.ts';
import { scheme } from '../scheme.ts';
import { pathsOf, rootOf } from './paths.ts';
import { closureOf, kindNames, patchName, schemaOf } from './schemas.ts';

/** The Kubernetes version that the API follows. */
const info = { title: 'Kubernetes', version: 'v1.34.0' };
const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';

interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

function groupVersions(): GroupVersion[] {
  const places = new Map(scheme.resources().map(({ group, version }) => [`${group}/${version}`, { group, version }]));
  return [...places.values()];
}

/** Path without the leading slash, which is the key in the index: `api/v1`, `apis/apps/v1`. */
function keyOf(place: GroupVersion): string {
  return rootOf(place).slice(1);
}

const documents = new Map<string, string>();

/** `path` is `api/v1` or `apis/apps/v1`. Undefined when there is no such group version. */
export function openApiV3Document(path: string): string | undefined {
  const known = documents.get(path);
  if (known !== undefined) return known;
  const place = groupVersions().find((candidate) => keyOf(candidate) === path);
  if (place === undefined) return undefined;
  const document = JSON.stringify(buildV3(place));
  documents.set(path, document);
  return document;
}

/** The body of `/openapi/v3`; `hashOf` tells the document of a path by its content. */
export function openApiV3Index(hashOf: (text: string) => string): JsonObject {
  const paths: JsonObject = {};
  for (const path of groupVersions().map(keyOf)) {
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hashOf(openApiV3Document(path) ?? '')}` };
  }
  return { paths };
}

function definitionsOf(places: readonly GroupVersion[], version: 2 | 3): JsonObject {
  const roots = places.flatMap((place) => kindNames(place.group, place.version));
  const shared = ['DeleteOptions', 'Status', 'WatchEvent', 'APIResourceList'].map((kind) => `${meta}.${kind}`);
  // The subresource scale of any group answers with a kind of another one.
  const scale = 'io.k8s.api.autoscaling.v1.Scale';
  const token = 'io.k8s.api.authentication.v1.TokenRequest';
  const eviction = 'io.k8s.api.policy.v1.Eviction';
  const names = closureOf([...roots, ...shared, patchName, scale, token, eviction]);
  return Object.fromEntries(names.map((name) => [name, schemaOf(name, version)]));
}

function buildV3(place: GroupVersion): JsonObject {
  return {
    openapi: '3.0.0',
    info,
    paths: pathsOf(place.group, place.version, 3),
    components: {
      schemas: definitionsOf([place], 3),
      securitySchemes: {
        BearerToken: { type: 'apiKey', description: 'A bearer token.', name: 'authorization', in: 'header' },
      },
    },
  };
}

let version2: string | undefined;

/** The body of `/openapi/v2`. */
export function openApiV2Document(): string {
  version2 ??= JSON.stringify(openApiV2Object());
  return version2;
}

export function openApiV2Object(): JsonObject {
  const places = groupVersions();
  const paths: JsonObject = {};
  for (const place of places) Object.assign(paths, pathsOf(place.group, place.version, 2));
  return {
    swagger: '2.0',
    info,
    paths,
    definitions: definitionsOf(places, 2),
    securityDefinitions: {
      BearerToken: { description: 'A bearer token.', type: 'apiKey', name: 'authorization', in: 'header' },
    },
    security: [{ BearerToken: [] }],
  };
}
