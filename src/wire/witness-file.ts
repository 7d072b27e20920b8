import { z } from 'zod';
import { shardIdSchema, shardSchema, stateFileSchema } from './cluster-map';

const standbySchema = shardSchema.omit({ id: true }).extend({
  addedAtMs: z.number(),
  unusable: z.object({ reason: z.string(), sinceMs: z.number(), triedAtMs: z.number() }).nullable(),
});

const lockSchema = z.object({
  operationId: z.string(),
  kind: z.enum(['grow', 'drain', 'repair']),
  stage: z.enum(['reserved', 'announced', 'flipped', 'withdrawn']),
  wasAnnounced: z.boolean(),
  shards: z.array(shardSchema),
  sinceMs: z.number(),
  origin: z.string(),
  takeovers: shardIdSchema,
  standby: z.object({ standby: standbySchema, lastScaleBeforeMs: z.number().nullable() }).nullable(),
});

/**
 * The witness's copy in a file: a state file as `QUIVER_COORDINATOR_STATE` reads it, with the lock, and with the name of the record that it
 * is a copy of. A lock of a shape that this version does not know counts as none.
 */
export const witnessFileSchema = stateFileSchema.extend({
  lock: lockSchema.nullable().catch(null).default(null),
  lineage: z.string().nullable().default(null),
});
