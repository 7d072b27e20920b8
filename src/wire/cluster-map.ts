import { z } from 'zod';

/**
 * A shard id. It is a u64 on the wire. Beyond 2^53 - 1 JavaScript would round it to another shard's id, so such an id
 * is refused.
 */
export const shardIdSchema = z.int().nonnegative();

/** An address that a caller gives. `normalizeShardUrl` has the last word; the pattern only tells a reader of the OpenAPI document. */
export const givenUrlSchema = z.string().meta({
  description: 'http or https, without user information, query and fragment',
  pattern: '^\\s*[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$',
  examples: ['http://shard-2:6333'],
});

export const shardSchema = z.object({
  id: shardIdSchema,
  primary_url: z.string().min(1),
  replica_urls: z.array(z.string().min(1)).default([]),
});

/** The versioned shard map as routers read it (`GET /cluster/map`), with the rules that make it one. */
export const shardMapSchema = z
  .object({
    version: z.int().nonnegative(),
    shards: z.array(shardSchema).min(1),
    joining: z.array(shardIdSchema).default([]),
    leaving: z.array(shardIdSchema).default([]),
  })
  .superRefine((map, context) => {
    const ids = map.shards.map((shard) => shard.id);
    refuseDuplicates(ids, ['shards'], context);
    refuseDuplicates(map.joining, ['joining'], context);
    refuseDuplicates(map.leaving, ['leaving'], context);
    for (const role of ['joining', 'leaving'] as const) {
      for (const id of map[role]) {
        if (ids.includes(id)) continue;
        context.addIssue({ code: 'custom', path: [role], message: `shard ${id} is not among the shards` });
      }
    }
    for (const id of map.joining) {
      if (!map.leaving.includes(id)) continue;
      context.addIssue({ code: 'custom', path: ['leaving'], message: `shard ${id} is joining as well` });
    }
  });

function refuseDuplicates(ids: readonly number[], path: string[], context: z.RefinementCtx): void {
  for (const id of new Set(ids.filter((each, index) => ids.indexOf(each) !== index))) {
    context.addIssue({ code: 'custom', path, message: `shard ${id} is there twice` });
  }
}

/** What Quiver's own coordinator keeps on disk (`QUIVER_COORDINATOR_STATE`). */
export const stateFileSchema = z.object({ next_id: shardIdSchema, map: shardMapSchema });

export type WireShardMap = z.infer<typeof shardMapSchema>;
export type StateFile = z.infer<typeof stateFileSchema>;
