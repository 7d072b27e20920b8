/** Where things are on a shard. */

const COLLECTIONS = '/v1/collections';

/** A path to send, and the same path as messages may show it: never with a point id. */
export interface ShardPath {
  readonly path: string;
  readonly shown: string;
}

const shownAsIs = (path: string): ShardPath => ({ path, shown: path });

/** The collection's name is percent-encoded: a wrong one must not become another path. */
const collection = (name: string): string => `${COLLECTIONS}/${encodeURIComponent(name)}`;

export const paths = {
  health: shownAsIs('/healthz'),
  clusterMap: shownAsIs('/cluster/map'),
  metrics: shownAsIs('/metrics'),
  /** Nothing is there. A router counts the requests to it all the same. */
  mark: (mark: string): ShardPath => shownAsIs(`/coordinator-mark/${mark}`),
  collections: shownAsIs(COLLECTIONS),
  collection: (name: string): ShardPath => shownAsIs(collection(name)),
  fetch: (name: string): ShardPath => shownAsIs(`${collection(name)}/fetch`),
  query: (name: string): ShardPath => shownAsIs(`${collection(name)}/query`),
  points: (name: string): ShardPath => shownAsIs(`${collection(name)}/points`),
  documents: (name: string): ShardPath => shownAsIs(`${collection(name)}/documents`),
  bulk: (name: string): ShardPath => shownAsIs(`${collection(name)}/points:bulk`),
  /** `id` is UTF-8, as `scanPoints` gives it; ids hold slashes, spaces, anything. */
  point: (name: string, id: Buffer): ShardPath => ({
    path: `${collection(name)}/points/${encodeURIComponent(id.toString('utf8'))}`,
    shown: `${collection(name)}/points/{id}`,
  }),
};
