const PREFIX = 'coordinator-probe-';
const PROBE_NAME = /^coordinator-probe-[0-9a-f]{16}$/;

/**
 * The name of a collection that the coordinator creates on a shard for a moment, to tell that shard from others
 * (refuse-aliases.ts). `digest` has 16 hexadecimal digits.
 */
export function probeName(digest: string): string {
  return PREFIX + digest;
}

/**
 * A probe that was left behind is in no list of collections, and may be removed by anybody who holds the lock. It never
 * holds a point: a collection that does belongs to a client, whatever its name.
 */
export function isProbe({ name, count }: { readonly name: string; readonly count: number }): boolean {
  return count === 0 && PROBE_NAME.test(name);
}
