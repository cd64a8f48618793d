import { World } from './world.ts';
for (let s = 1; s <= 6; s++) {
  const w = new World(String(s), 'swarm') as any;
  if (w.plan.members !== 3) continue;
  w.plan.faults.splice(
    0,
    99,
    { atMs: 1, fault: { kind: 'crash', member: 0, downMs: 3000 } },
    { atMs: 2000, fault: { kind: 'wipe', member: 2, downMs: 900 } },
    { atMs: 2500, fault: { kind: 'crash', member: 1, downMs: 3000 } },
  );
  const r = await w.run();
  console.log(s, w.plan.witnesses, String(r.violation?.message).slice(0, 200));
}
