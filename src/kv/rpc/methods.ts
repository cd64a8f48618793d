/** All methods of the store, for whichever server carries them. */
import { authFace } from './auth-face.ts';
import type { Face } from './call.ts';
import { clusterFace } from './cluster-face.ts';
import { electionFace } from './election-face.ts';
import { healthFace } from './health-face.ts';
import { kvFace } from './kv-face.ts';
import { leaseFace } from './lease-face.ts';
import { lockFace } from './lock-face.ts';
import { maintenanceFace } from './maintenance-face.ts';
import { reflectionFace } from './reflection-face.ts';
import type { RpcMethod } from './service.ts';
import { watchFace, type WatchFaceOptions } from './watch-face.ts';

export interface StoreMethodsOptions {
  readonly watch: WatchFaceOptions;
}

export function storeMethods(face: Face, options: StoreMethodsOptions): readonly RpcMethod[] {
  const methods = [
    ...kvFace(face),
    ...watchFace(face, options.watch),
    ...leaseFace(face),
    ...clusterFace(face),
    ...maintenanceFace(face),
    ...authFace(face),
    ...electionFace(face),
    ...lockFace(face),
    ...healthFace(face),
  ];
  return [...methods, ...reflectionFace(face, methods)];
}
