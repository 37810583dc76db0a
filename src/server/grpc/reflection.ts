import { create, fromBinary, toBinary, type DescFile } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { status, type Server, type ServerDuplexStream } from '@grpc/grpc-js';
import { isErrorLike } from '../../base/errors.ts';
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import type { AnyRpc } from '../rpc/method.ts';

type Answer = ServerReflectionResponse['messageResponse'];

/** Older clients ask for this name; the messages are the same. */
const NAMES = [ServerReflection.typeName, 'grpc.reflection.v1alpha.ServerReflection'];

/** Paths of the calls, which may be silent for long. */
export const REFLECTION_PATHS: readonly string[] = NAMES.map(
  (name) => `/${name}/ServerReflectionInfo`,
);

/** Adds gRPC's server reflection for the services of `methods`, so that grpcurl needs no .proto. */
export function addReflection(server: Server, methods: readonly AnyRpc[]): void {
  const index = indexOf(methods);
  for (const name of NAMES) {
    server.addService(
      {
        ServerReflectionInfo: {
          path: `/${name}/ServerReflectionInfo`,
          requestStream: true,
          responseStream: true,
          requestDeserialize: (bytes: Buffer) => bytes,
          requestSerialize: (bytes: Buffer) => bytes,
          responseDeserialize: (bytes: Buffer) => bytes,
          responseSerialize: (bytes: Buffer) => bytes,
        },
      },
      {
        ServerReflectionInfo: (call: ServerDuplexStream<Buffer, Buffer>) => {
          talk(call, index).catch((error: unknown) => {
            call.emit('error', {
              code: status.INVALID_ARGUMENT,
              details: `malformed_protobuf: ${isErrorLike(error) ? error.message : ''}`,
            });
          });
        },
      },
    );
  }
}

async function talk(call: ServerDuplexStream<Buffer, Buffer>, index: Index): Promise<void> {
  // The library's default would end the call with the reading, and lose the last answer.
  for await (const chunk of call.iterator({ destroyOnReturn: false })) {
    const bytes = chunk as Uint8Array;
    const request = fromBinary(ServerReflectionRequestSchema, Uint8Array.from(bytes));
    const response = create(ServerReflectionResponseSchema, {
      validHost: request.host,
      originalRequest: request,
      messageResponse: answer(request, index),
    });
    const flushed = call.write(Buffer.from(toBinary(ServerReflectionResponseSchema, response)));
    if (!flushed) await new Promise((resolve) => call.once('drain', resolve));
  }
  call.end();
}

interface Index {
  readonly services: readonly string[];
  readonly files: ReadonlyMap<string, DescFile>;
  readonly bySymbol: ReadonlyMap<string, DescFile>;
}

function answer(request: ServerReflectionRequest, index: Index): Answer {
  const asked = request.messageRequest;
  switch (asked.case) {
    case 'listServices':
      return {
        case: 'listServicesResponse',
        value: {
          $typeName: 'grpc.reflection.v1.ListServiceResponse',
          service: index.services.map((name) => ({
            $typeName: 'grpc.reflection.v1.ServiceResponse',
            name,
          })),
        },
      };
    case 'fileByFilename':
      return filesOf(index.files.get(asked.value), asked.value);
    case 'fileContainingSymbol':
      return filesOf(index.bySymbol.get(asked.value), asked.value);
    case 'fileContainingExtension':
    case 'allExtensionNumbersOfType':
      return failure(status.NOT_FOUND, 'there are no extensions');
    default:
      return failure(status.INVALID_ARGUMENT, 'the request asks nothing');
  }
}

/** The file and all that it needs, those it needs first. */
function filesOf(file: DescFile | undefined, asked: string): Answer {
  if (file === undefined) return failure(status.NOT_FOUND, `${asked.slice(0, 128)} is not known`);
  const all = new Set<DescFile>();
  const add = (one: DescFile): void => {
    for (const needed of one.dependencies) add(needed);
    all.add(one);
  };
  add(file);
  return {
    case: 'fileDescriptorResponse',
    value: {
      $typeName: 'grpc.reflection.v1.FileDescriptorResponse',
      fileDescriptorProto: [...all].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto)),
    },
  };
}

function failure(errorCode: number, errorMessage: string): Answer {
  return {
    case: 'errorResponse',
    value: { $typeName: 'grpc.reflection.v1.ErrorResponse', errorCode, errorMessage },
  };
}

function indexOf(methods: readonly AnyRpc[]): Index {
  const files = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    const name = `${file.name}.proto`;
    if (files.has(name)) return;
    files.set(name, file);
    const addMessage = (message: DescFile['messages'][number]): void => {
      bySymbol.set(message.typeName, file);
      for (const nested of message.nestedMessages) addMessage(nested);
      for (const nested of message.nestedEnums) bySymbol.set(nested.typeName, file);
    };
    for (const message of file.messages) addMessage(message);
    for (const { typeName } of file.enums) bySymbol.set(typeName, file);
    for (const service of file.services) {
      bySymbol.set(service.typeName, file);
      for (const { name: method } of service.methods) {
        bySymbol.set(`${service.typeName}.${method}`, file);
      }
    }
    for (const needed of file.dependencies) add(needed);
  };
  for (const { desc } of methods) add(desc.parent.file);
  add(ServerReflection.file);
  const services = new Set([...methods.map(({ desc }) => desc.parent.typeName), ...NAMES]);
  return { services: [...services].toSorted(), files, bySymbol };
}
