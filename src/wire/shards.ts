import { z } from 'zod';
import { shardIdSchema } from './cluster-map';

/** `GET /cluster/shards`. */
export const shardsViewSchema = z.object({
  version: z.int(),
  shards: z.array(
    z.object({
      id: shardIdSchema,
      role: z.enum(['owner', 'joining', 'leaving']),
      primary_url: z.string(),
      replica_urls: z.array(z.string()),
      /** The given one, or the one that follows from the setting. */
      grpc_url: z.string(),
      /** What the cluster knows: its uid, and the last epoch that was recorded; both null before the first operation. */
      identity: z.object({ uid: z.string().nullable(), epoch: z.int().nullable() }),
      /** Points over all collections. Null: the shard did not tell. */
      rows: z.int().nullable(),
      /** How the newest operation reads its rows, or has read them. Null: it has not, or nobody knows. */
      source: z.string().nullable(),
    }),
  ),
});
export type ShardsView = z.infer<typeof shardsViewSchema>;

/** Answer of `DELETE /cluster/identities` and of `POST`. `left`: shards that may still bear a mark. */
export const identitiesSchema = z.object({
  removed: z.boolean(),
  left: z.array(z.object({ id: shardIdSchema, reason: z.string() })),
});
export type Identities = z.infer<typeof identitiesSchema>;
