const PREFIX = 'coordinator-probe-';

/**
 * The name of a collection that the coordinator creates on a shard for a moment, to tell it from others (activities/refuse-aliases.ts). No
 * client's collection is called like this, and one that was left behind is nobody's: it is in no list of collections.
 */
export function probeName(digest: string): string {
  return PREFIX + digest;
}

export function isProbeName(collection: string): boolean {
  return collection.startsWith(PREFIX);
}
