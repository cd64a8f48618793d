import { World } from './world.ts';
const w = new World(process.argv[2] as string, 'witness') as any;
const r = await w.run();
console.log(String(r.violation).slice(0, 160));
