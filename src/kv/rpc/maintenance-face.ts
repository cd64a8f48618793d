/** etcdserverpb.Maintenance. */
import type { Int64Like } from '../../proto/int64.ts';
import type { AlarmType } from '../api.ts';
import { KvError } from '../errors.ts';
import type { Alarm } from '../server/contract.ts';
import { type Face, headerOf, unary } from './call.ts';
import { memberIdFrom } from './cluster-face.ts';
import { saturate } from './codec-values.ts';
import type { RpcMethod } from '../../rpc/service.ts';
import { snapshotMethod } from './snapshot-stream.ts';
import { maintenanceService } from './services.ts';

/** Position = number on the wire. */
const alarmTypes: readonly AlarmType[] = ['none', 'noSpace', 'corrupt'];
const alarmNames: Readonly<Record<AlarmType, string>> = { none: 'NONE', noSpace: 'NOSPACE', corrupt: 'CORRUPT' };
const downgradeEnable = 1;
const downgradeCancel = 2;
const alarmGet = 0;

interface AlarmRequest {
  /** 0 = get, 1 = activate, 2 = deactivate. */
  readonly action: number;
  readonly memberID: Int64Like;
  readonly alarm: number;
}

export function maintenanceFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  const { auth } = server;
  return [
    unary(face, maintenanceService['Alarm'], async (request: AlarmRequest, call) => {
      if (request.action === alarmGet) await auth.requireUser(call);
      else await auth.requireRoot(call);
      const alarms = await changeAlarms(face, request);
      return { header: headerOf(server), alarms: alarms.map(toWireAlarm) };
    }),
    unary(face, maintenanceService['Status'], async (_request: object, call) => {
      // Since etcd 3.6; before, anybody could ask.
      await auth.requireRoot(call);
      return statusOf(face);
    }),
    unary(face, maintenanceService['Defragment'], async (_request: object, call) => {
      await auth.requireRoot(call);
      await server.defragment();
      // As in etcd, without a header.
      return {};
    }),
    unary(face, maintenanceService['Hash'], async (_request: object, call) => {
      await auth.requireRoot(call);
      const startedMs = server.clock.monotonicMs();
      const { hash } = await server.hashKv(0);
      server.timings().hashAllSeconds.observe((server.clock.monotonicMs() - startedMs) / 1000);
      return { header: headerOf(server), hash };
    }),
    unary(face, maintenanceService['HashKV'], async (request: { readonly revision: Int64Like }, call) => {
      await auth.requireRoot(call);
      const { hash, compactRevision, revision } = await server.hashKv(Math.max(0, saturate(request.revision)));
      return {
        header: headerOf(server),
        hash,
        compactRevision,
        hashRevision: revision,
      };
    }),
    snapshotMethod(face),
    unary(face, maintenanceService['MoveLeader'], async (request: { readonly targetID: Int64Like }, call) => {
      await auth.requireRoot(call);
      await server.moveLeader(memberIdFrom(request.targetID));
      return { header: headerOf(server) };
    }),
    unary(
      face,
      maintenanceService['Downgrade'],
      async (request: { readonly action: number; readonly version: string }, call) => {
        await auth.requireRoot(call);
        const version = server.status().clusterVersion;
        // Cancelling what was never begun is fine, as in etcd.
        if (request.action !== downgradeCancel) checkDowngrade(version, request.version);
        // Nothing is begun that could not be finished: this store leads back to an older etcd by a snapshot.
        if (request.action === downgradeEnable) throw new KvError('downgradeNotPossible');
        return { header: headerOf(server), version: version.split('.').slice(0, 2).join('.') };
      },
    ),
  ];
}

/** Only one minor version down is a way that etcd knows. */
function checkDowngrade(clusterVersion: string, target: string): void {
  const [, major, minor] = /^(\d+)\.(\d+)(?:\.\d+)?$/.exec(target) ?? [];
  if (major === undefined) throw new KvError('downgradeVersionFormat');
  const [ownMajor, ownMinor] = clusterVersion.split('.').map(Number);
  const isOneDown = Number(major) === ownMajor && Number(minor) + 1 === ownMinor;
  if (!isOneDown) throw new KvError('downgradeVersion');
}

async function changeAlarms(face: Face, request: AlarmRequest): Promise<readonly Alarm[]> {
  const alarm = alarmTypes[request.alarm];
  if (alarm === undefined) throw new KvError('notCapable');
  if (request.action === 1) return face.server.setAlarm('activate', memberIdFrom(request.memberID), alarm);
  if (request.action === 2) return face.server.setAlarm('deactivate', memberIdFrom(request.memberID), alarm);
  const memberId = memberIdFrom(request.memberID);
  return face.server
    .alarms()
    .filter((item) => (memberId === 0 || item.memberId === memberId) && (alarm === 'none' || item.alarm === alarm));
}

function toWireAlarm({ memberId, alarm }: Alarm): object {
  return { memberID: memberId, alarm: alarmTypes.indexOf(alarm) };
}

function statusOf(face: Face): object {
  const status = face.server.status();
  const errors = status.alarms.map(({ memberId, alarm }) => `memberID:${memberId} alarm:${alarmNames[alarm]} `);
  if (status.leader === 0) errors.push('etcdserver: no leader');
  return {
    header: headerOf(face.server),
    version: status.version,
    dbSize: status.bytesOnDisk,
    dbSizeInUse: status.bytesInUse,
    dbSizeQuota: status.quotaBytes,
    leader: status.leader,
    raftIndex: status.raft.committed,
    raftTerm: status.term,
    raftAppliedIndex: status.raft.applied,
    errors,
    isLearner: status.isLearner,
    storageVersion: status.clusterVersion,
    downgradeInfo: { enabled: false },
  };
}
