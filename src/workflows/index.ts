/** All workflows of a worker. The names under which they are started are in messages.ts. */
export { cluster } from './cluster';
export { drain } from './drain';
export { grow } from './grow';
export { recover } from './recover';
