/** The thread behind bcrypt-passwords.ts: one job after another, as each one needs a whole processor anyway. */
import { parentPort } from 'node:worker_threads';
import bcrypt from 'bcryptjs';
import { present, unreachable } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import type { BcryptAnswer, BcryptJob } from './bcrypt-passwords.ts';

const port = present(parentPort, 'the thread that sends the jobs');

function carryOut(job: BcryptJob): string | boolean {
  switch (job.kind) {
    case 'hash':
      return bcrypt.hashSync(job.password, job.cost);
    case 'compare':
      return bcrypt.compareSync(job.password, job.hash);
    default:
      return unreachable(job);
  }
}

port.on('message', (job: BcryptJob) => {
  let answer: BcryptAnswer;
  try {
    answer = { id: job.id, result: carryOut(job) };
  } catch (error) {
    // A hash from elsewhere may be no hash at all; what that means is for whoever asked.
    answer = { id: job.id, error: errorText(error) };
  }
  port.postMessage(answer);
});
