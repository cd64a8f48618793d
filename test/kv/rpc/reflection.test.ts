/** Reflection as a tool sees it: it lists the services, fetches their files, and calls a method by nothing else. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import 'protobufjs/ext/descriptor.js';
import descriptor from 'protobufjs/ext/descriptor.js';
import { reflectionService } from '../../../src/kv/rpc/reflection-face.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

interface Answer {
  readonly listServicesResponse: { readonly service: readonly { readonly name: string }[] } | null;
  readonly fileDescriptorResponse: { readonly fileDescriptorProto: readonly Uint8Array[] } | null;
  readonly allExtensionNumbersResponse: { readonly baseTypeName: string } | null;
  readonly errorResponse: { readonly errorCode: number } | null;
}

let member: TestMember;
let client: grpc.Client;

before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
  client = new grpc.Client(member.endpoint.replace('http://', ''), grpc.credentials.createInsecure());
});
after(async () => {
  client?.close();
  await member?.stop();
});

function ask(request: object, version = 'v1'): Promise<Answer> {
  const definition = reflectionService['ServerReflectionInfo'] as grpc.MethodDefinition<object, object>;
  const { requestSerialize, responseDeserialize } = definition;
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  return new Promise((resolve, reject) => {
    call.on('data', (answer: Answer) => resolve(answer));
    call.on('error', reject);
    call.write(request);
    call.end();
  });
}

/** What a tool builds of the files it got. */
function rootOf(answer: Answer): protobuf.Root {
  const files = answer.fileDescriptorResponse?.fileDescriptorProto ?? [];
  const { FileDescriptorProto, FileDescriptorSet } = descriptor as unknown as Record<string, protobuf.Type>;
  assert.ok(FileDescriptorProto && FileDescriptorSet);
  const set = FileDescriptorSet.create({ file: files.map((bytes) => FileDescriptorProto.decode(bytes)) });
  const fromDescriptor = (protobuf.Root as unknown as { fromDescriptor(set: object): protobuf.Root }).fromDescriptor;
  return fromDescriptor(set).resolveAll() as protobuf.Root;
}

test('all services are listed, in both versions of reflection', async () => {
  const answers = await Promise.all(['v1', 'v1alpha'].map((version) => ask({ listServices: '*' }, version)));
  for (const answer of answers) {
    assert.deepEqual(
      answer.listServicesResponse?.service.map(({ name }) => name),
      [
        'etcdserverpb.Auth',
        'etcdserverpb.Cluster',
        'etcdserverpb.KV',
        'etcdserverpb.Lease',
        'etcdserverpb.Maintenance',
        'etcdserverpb.Watch',
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
        'v3electionpb.Election',
        'v3lockpb.Lock',
      ],
    );
  }
});

test('a method can be called by what its files say', async () => {
  const root = rootOf(await ask({ fileContainingSymbol: 'etcdserverpb.KV' }));
  const method = root.lookupService('etcdserverpb.KV').methods['Put'] as protobuf.Method;
  method.resolve();
  const [requestType, answerType] = [method.resolvedRequestType, method.resolvedResponseType];
  assert.ok(requestType && answerType);
  const request = requestType.fromObject({ key: Buffer.from('reflected'), value: Buffer.from('x') });
  const revision = await new Promise<string>((resolve, reject) => {
    client.makeUnaryRequest(
      '/etcdserverpb.KV/Put',
      () => Buffer.from(requestType.encode(request).finish()),
      (bytes) => answerType.toObject(answerType.decode(bytes), { longs: String }) as { header: { revision: string } },
      request,
      (error, answer) => (error || !answer ? reject(error) : resolve(answer.header.revision)),
    );
  });
  assert.equal(Number(revision), member.server.position().revision);
});

test('methods, messages, fields, nested enums and files are found by name, and files come with what they need', async () => {
  for (const symbol of [
    'etcdserverpb.KV.Range',
    'etcdserverpb.RangeRequest',
    'etcdserverpb.RangeRequest.sort_order',
    'etcdserverpb.RangeRequest.SortOrder',
    'mvccpb.KeyValue',
    'v3electionpb.Election.Campaign',
    'grpc.reflection.v1.ServerReflection',
    'grpc.health.v1.Health',
  ]) {
    rootOf(await ask({ fileContainingSymbol: symbol }));
  }
  const files = (await ask({ fileByFilename: 'v3lockpb.proto' })).fileDescriptorResponse?.fileDescriptorProto;
  assert.equal(files?.length, 4);
});

test('what is not there is not found, and proto3 has no extensions', async () => {
  assert.equal((await ask({ fileContainingSymbol: 'etcdserverpb.Nope' })).errorResponse?.errorCode, 5);
  assert.equal((await ask({ fileByFilename: 'nope.proto' })).errorResponse?.errorCode, 5);
  const extensions = await ask({ allExtensionNumbersOfType: 'mvccpb.KeyValue' });
  assert.equal(extensions.allExtensionNumbersResponse?.baseTypeName, 'mvccpb.KeyValue');
  assert.equal((await ask({ allExtensionNumbersOfType: 'mvccpb.Nope' })).errorResponse?.errorCode, 5);
});
