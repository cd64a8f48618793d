/** Raft's values as short text. */
import { decodeConfChange } from '../../src/raft/core/conf-change-codec.ts';
import type { ConfState, Entry } from '../../src/raft/core/types.ts';

export function describeEntry(entry: Entry): string {
  const at = `${entry.index}/${entry.term}`;
  if (entry.kind === 'normal')
    return entry.data.byteLength === 0 ? `${at} no-op` : `${at} ${new TextDecoder().decode(entry.data)}`;
  const { steps } = decodeConfChange(entry.data);
  return `${at} ${steps.length === 0 ? 'leaveJoint' : steps.map((step) => `${step.kind}(${step.replica})`).join(' ')}`;
}

export function describeConf(conf: ConfState): string {
  const parts = [`voters(${conf.voters.join(' ')})`];
  if (conf.votersOutgoing.length > 0) parts.push(`outgoing(${conf.votersOutgoing.join(' ')})`);
  if (conf.learners.length > 0) parts.push(`learners(${conf.learners.join(' ')})`);
  if (conf.learnersNext.length > 0) parts.push(`learnersNext(${conf.learnersNext.join(' ')})`);
  if (conf.witnesses !== undefined) parts.push(`witnesses(${conf.witnesses.join(' ')})`);
  if (conf.autoLeave) parts.push('autoLeave');
  return parts.join(' ');
}
