import { samplesOf } from './bounded-text';
import type { LockingKind } from './cluster-state';

/** Work that a succeeded operation leaves to a person: what, how much of it, and the call that mends it. */
export interface Attention {
  readonly what: string;
  readonly points: number;
  readonly mendedBy: string;
}

/**
 * INV-5: points that stay where they do not belong, because nothing proves that they may go. `leavers`: primary URLs of
 * shards that are out of the map, so that a repair must be told to read them.
 */
export function attentionForKept(
  kind: LockingKind,
  { points, leavers }: { points: number; leavers: readonly string[] },
): readonly Attention[] {
  if (points === 0) return [];
  switch (kind) {
    case 'grow':
      return [{ what: `points kept on their old shard, because ${UNPROVEN}`, points, mendedBy: REPAIR }];
    case 'drain': {
      const leftovers = leavers.map((primary_url) => ({ primary_url }));
      const what = `points kept on the shard that left (${samplesOf(leavers)}), because ${UNPROVEN}`;
      return [{ what, points, mendedBy: `${REPAIR} ${JSON.stringify({ leftovers })}` }];
    }
    case 'repair': {
      const what = 'copies left, because their owner has none and the others differ';
      return [{ what, points, mendedBy: `${REPAIR} {"prefer":[…]}, which names whose value counts` }];
    }
  }
}

const REPAIR = 'POST /cluster/repair';
/** Nobody can tell them apart, so whoever calls the repair is to know what it does. */
const UNPROVEN =
  'their owner neither holds them nor is known to have deleted them; a repair gives them to it, also those that clients have deleted there';
