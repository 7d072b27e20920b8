/** All workflows of a worker. The names under which they are started are in messages.ts. */
export { autoscale } from './evaluation';
export { cluster } from './cluster';
export { drain } from './drain';
export { grow } from './grow';
export { witness as published } from './witness';
export { recover } from './recover';
export { check, repair } from './repair';
