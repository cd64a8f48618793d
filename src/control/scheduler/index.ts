/** The scheduler: places pods on nodes. */
export { type Placement, type Plugin, schedulePod } from './framework.ts';
export { NodeInfo, SchedulerCache, type Snapshot } from './node-info.ts';
export { defaultPlugins } from './plugins/index.ts';
export { createScheduler, type Scheduler, type SchedulerOptions } from './scheduler.ts';
