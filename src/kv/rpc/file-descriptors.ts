/**
 * The services of the store as google.protobuf.FileDescriptorProto, for clients that ask what there is to call. One file
 * for each package, named after it; every reference in it is absolute and every file it needs is named.
 */
import { createRequire } from 'node:module';
import type protobuf from 'protobufjs';
import { assert, present } from '../../env/assert.ts';
import { loadRoot, type ProtoDescriptor } from '../../proto/grpc-service.ts';
import { openProtobuf } from '../../proto/protobuf-library.ts';

const load = createRequire(import.meta.url);

interface DescriptorTypes {
  readonly FileDescriptorProto: protobuf.Type;
}

/** protobufjs and its extension for descriptors, which only who asks for reflection pays for. */
function openDescriptorTypes(): DescriptorTypes {
  openProtobuf();
  return load('protobufjs/ext/descriptor.js') as DescriptorTypes;
}

export interface DescribedFile {
  readonly name: string;
  /** Files that it refers to, without those that they refer to. */
  readonly dependencies: readonly string[];
  readonly bytes: Uint8Array;
}

export interface Description {
  /** Full names of all services, in order. */
  readonly services: readonly string[];
  readonly files: ReadonlyMap<string, DescribedFile>;
  /** The file that says what a service, method, message, field or enum is, by its full name. */
  readonly fileOfSymbol: ReadonlyMap<string, string>;
  /** Full names of messages. */
  readonly messages: ReadonlySet<string>;
}

/** What protobufjs makes of a root; its own types leave most of it open. */
interface FileSet {
  readonly file: readonly FileDescriptor[];
}

interface FileDescriptor {
  name: string;
  readonly package: string;
  dependency: string[];
  readonly messageType: readonly MessageDescriptor[];
}

interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly nestedType: readonly MessageDescriptor[];
}

interface FieldDescriptor {
  readonly number: number;
  typeName: string;
}

/** `services` are full names; packages without one of them are described when one refers to them. */
export function describeServices(descriptors: readonly ProtoDescriptor[], services: readonly string[]): Description {
  // Loading it teaches roots `toDescriptor`.
  const { FileDescriptorProto } = openDescriptorTypes();
  const files = new Map<string, DescribedFile>();
  const fileOfSymbol = new Map<string, string>();
  const messages = new Set<string>();
  for (const each of descriptors) {
    const root = loadRoot(each);
    const set = (root as unknown as { toDescriptor(edition: string): FileSet }).toDescriptor('proto3');
    for (const file of set.file) {
      // Descriptors bundle what they import: a package is the same wherever it comes from.
      if (files.has(fileName(file.package))) continue;
      const namespace = present(root.lookup(file.package), `package ${file.package}`) as protobuf.Namespace;
      files.set(fileName(file.package), describedFile(file, namespace, FileDescriptorProto));
      noteSymbols(namespace, fileName(file.package), fileOfSymbol, messages);
    }
  }
  for (const service of services) assert(fileOfSymbol.has(service), () => `service ${service} is described`);
  return { services: [...services].sort(), files, fileOfSymbol, messages };
}

function fileName(packageName: string): string {
  return `${packageName}.proto`;
}

function describedFile(file: FileDescriptor, namespace: protobuf.Namespace, type: protobuf.Type): DescribedFile {
  const { Service } = openProtobuf();
  const packages = new Set<string>();
  for (const message of file.messageType) resolve(message, namespace, packages);
  for (const nested of namespace.nestedArray) {
    if (!(nested instanceof Service)) continue;
    for (const method of nested.methodsArray) {
      method.resolve();
      packages.add(packageOf(present(method.resolvedRequestType, `request of ${method.fullName}`)));
      packages.add(packageOf(present(method.resolvedResponseType, `answer of ${method.fullName}`)));
    }
  }
  packages.delete(file.package);
  file.name = fileName(file.package);
  file.dependency = [...packages].sort().map(fileName);
  return {
    name: file.name,
    dependencies: file.dependency,
    bytes: type.encode(file as unknown as Record<string, unknown>).finish(),
  };
}

/** Makes the references of a message absolute, and notes which packages they lead to. */
function resolve(message: MessageDescriptor, parent: protobuf.NamespaceBase, packages: Set<string>): void {
  const type = present(parent.get(message.name), `message ${message.name}`) as protobuf.Type;
  for (const field of message.field) {
    const target = present(type.fieldsById[field.number], `field ${field.number} of ${type.fullName}`).resolvedType;
    if (!target) continue;
    field.typeName = target.fullName;
    packages.add(packageOf(target));
  }
  for (const nested of message.nestedType) resolve(nested, type, packages);
}

/** The names above the outermost message or enum. */
function packageOf(type: protobuf.ReflectionObject): string {
  const { Type } = openProtobuf();
  let outermost = type;
  while (outermost.parent instanceof Type) outermost = outermost.parent;
  return fullNameOf(present(outermost.parent, `package of ${type.fullName}`));
}

function fullNameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, '');
}

function noteSymbols(
  namespace: protobuf.NamespaceBase,
  file: string,
  fileOfSymbol: Map<string, string>,
  messages: Set<string>,
): void {
  const { Namespace, Service, Type } = openProtobuf();
  for (const nested of namespace.nestedArray) {
    // A package inside a package has a file of its own.
    const isPackage = nested instanceof Namespace && nested.constructor === Namespace;
    if (isPackage) continue;
    fileOfSymbol.set(fullNameOf(nested), file);
    if (nested instanceof Service) {
      for (const method of nested.methodsArray) fileOfSymbol.set(`${fullNameOf(nested)}.${method.name}`, file);
    }
    if (nested instanceof Type) {
      messages.add(fullNameOf(nested));
      for (const field of nested.fieldsArray) {
        const name = (field as { readonly protoName?: string | null }).protoName ?? field.name;
        fileOfSymbol.set(`${fullNameOf(nested)}.${name}`, file);
      }
      noteSymbols(nested, file, fileOfSymbol, messages);
    }
  }
}
