/** All workflows of a worker. The names under which they are started are in messages.ts. */
export { cluster } from './cluster';
export { grow } from './grow';
