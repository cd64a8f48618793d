/** grpc.reflection ServerReflection, v1 and v1alpha: what this server can be asked, for tools that know nothing of etcd. */
import healthDescriptor from '../../../proto/gen/health.json' with { type: 'json' };
import reflectionDescriptor from '../../../proto/gen/reflection.json' with { type: 'json' };
import electionDescriptor from '../../../proto/gen/etcd-election.json' with { type: 'json' };
import lockDescriptor from '../../../proto/gen/etcd-lock.json' with { type: 'json' };
import etcdDescriptor from '../../../proto/gen/etcd.json' with { type: 'json' };
import { present } from '../../env/assert.ts';
import { loadService } from '../../proto/grpc-service.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { type Face, namesOf } from './call.ts';
import { type DescribedFile, type Description, describeServices } from './file-descriptors.ts';
import type { RequestSink, RpcMethod } from '../../rpc/service.ts';
import { type FaceStream, stream } from './stream.ts';

const reflectionName = 'grpc.reflection.v1.ServerReflection';
const reflectionAlphaName = 'grpc.reflection.v1alpha.ServerReflection';

export const reflectionService = loadService(reflectionDescriptor, reflectionName);

/** A `oneof`: exactly one of these is set; protobufjs gives the others their defaults. */
interface ReflectionRequest {
  readonly host: string;
  readonly fileByFilename?: string | null;
  readonly fileContainingSymbol?: string | null;
  readonly fileContainingExtension?: object | null;
  readonly allExtensionNumbersOfType?: string | null;
  readonly listServices?: string | null;
}

type Answers = FaceStream<object>;

/** `others` are the methods that are served beside: their services are told. */
export function reflectionFace(face: Face, others: readonly RpcMethod[]): readonly RpcMethod[] {
  const names = new Set(others.map(({ path }) => namesOf(path)[0]));
  // Made when somebody first asks, which most members never see.
  let description: Description | undefined;
  const describe = () =>
    (description ??= describeServices(
      [etcdDescriptor, electionDescriptor, lockDescriptor, healthDescriptor, reflectionDescriptor],
      [...names, reflectionName],
    ));
  const definition = present(reflectionService['ServerReflectionInfo'], 'the one method of reflection');
  const open = (answers: Answers): RequestSink<ReflectionRequest> => ({
    request: (request) => void answers.write(answerTo(describe(), request)),
    ended: () => answers.end(),
    drained: () => undefined,
    gone: () => undefined,
  });
  return [reflectionName, reflectionAlphaName].map((name) => {
    const named = { ...definition, path: `/${name}/ServerReflectionInfo` };
    return stream(face, named, open, { isForLearners: true });
  });
}

function answerTo(known: Description, request: ReflectionRequest): object {
  const answer = { validHost: request.host, originalRequest: request };
  if (Object.hasOwn(request, 'listServices')) {
    const names = [...known.services, reflectionAlphaName].sort();
    return { ...answer, listServicesResponse: { service: names.map((name) => ({ name })) } };
  }
  const { fileByFilename, fileContainingSymbol, allExtensionNumbersOfType } = request;
  if (Object.hasOwn(request, 'fileByFilename')) return { ...answer, ...fileAnswer(known, fileByFilename ?? '') };
  if (Object.hasOwn(request, 'fileContainingSymbol')) {
    return { ...answer, ...fileAnswer(known, known.fileOfSymbol.get(fileContainingSymbol ?? '') ?? '') };
  }
  if (Object.hasOwn(request, 'allExtensionNumbersOfType')) {
    const baseTypeName = allExtensionNumbersOfType ?? '';
    // proto3 messages have no extensions.
    if (known.messages.has(baseTypeName)) return { ...answer, allExtensionNumbersResponse: { baseTypeName } };
  }
  return { ...answer, ...notFound };
}

const notFound = { errorResponse: { errorCode: grpcStatus.notFound, errorMessage: 'not found' } };

/** The file and every file that it needs, itself first. */
function fileAnswer(known: Description, name: string): object {
  if (!known.files.has(name)) return notFound;
  const names = new Set([name]);
  // The set grows while it is walked: files that files need follow.
  for (const each of names) for (const needed of fileOf(known, each).dependencies) names.add(needed);
  const fileDescriptorProto = [...names].map((each) => fileOf(known, each).bytes);
  return { fileDescriptorResponse: { fileDescriptorProto } };
}

function fileOf(known: Description, name: string): DescribedFile {
  return present(known.files.get(name), `file ${name}`);
}
