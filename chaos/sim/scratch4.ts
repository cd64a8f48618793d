import { World } from './world.ts';
const [first, count, step] = process.argv.slice(2).map(Number) as [number, number, number];
let bad = 0,
  done = 0,
  wipes = 0;
const end = performance.now() + 270_000;
for (let s = first; s < first + count * step && performance.now() < end; s += step) {
  const w = new World(String(s), 'witness');
  const faults = w.plan.faults.filter(({ fault }) => fault.kind !== 'wipe');
  wipes += w.plan.faults.length - faults.length;
  (w.plan.faults as unknown[]).splice(0, w.plan.faults.length, ...faults);
  const r = await w.run();
  done++;
  if (r.violation) {
    bad++;
    console.log('SEED', s, String(r.violation.message).slice(0, 300));
  }
}
console.log({ done, bad, wipes, upTo: first + done * step });
