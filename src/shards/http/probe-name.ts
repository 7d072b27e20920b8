const PREFIX = 'coordinator-probe-';

/**
 * The name of a collection that the coordinator creates on a shard for a moment, to tell that shard from others
 * (refuse-aliases.ts). No client's collection has such a name. A probe that was left behind is in no list of
 * collections.
 */
export function probeName(digest: string): string {
  return PREFIX + digest;
}

export function isProbeName(collection: string): boolean {
  return collection.startsWith(PREFIX);
}
