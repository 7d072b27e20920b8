import { z } from 'zod';
import { ROUTER_ENTRIES_MAX, ROUTER_ENTRY_CHARS_MAX } from '../domain/limits';
import { shardIdSchema, shardSchema, stateFileSchema } from './cluster-map';

const grpcUrl = { grpc_url: z.string().optional() };

const standbySchema = shardSchema.omit({ id: true }).extend({
  ...grpcUrl,
  addedAtMs: z.number(),
  unusable: z.object({ reason: z.string(), sinceMs: z.number(), triedAtMs: z.number() }).nullable(),
});

const lockSchema = z.object({
  operationId: z.string(),
  kind: z.enum(['grow', 'drain', 'repair']),
  stage: z.enum(['reserved', 'announced', 'flipped', 'withdrawn']),
  wasAnnounced: z.boolean(),
  shards: z.array(shardSchema.extend(grpcUrl)),
  sinceMs: z.number(),
  origin: z.string(),
  takeovers: shardIdSchema,
  standby: z.object({ standby: standbySchema, lastScaleBeforeMs: z.number().nullable() }).nullable(),
  epoch: shardIdSchema.optional(),
});

const routersSchema = z.object({
  entries: z.array(z.string().max(ROUTER_ENTRY_CHARS_MAX)).max(ROUTER_ENTRIES_MAX),
  isByHand: z.boolean(),
});

/**
 * The witness's copy in a file: a state file as `QUIVER_COORDINATOR_STATE` reads it, with the lock, and with the name of the record that it
 * is a copy of. A lock of a shape that this version does not know counts as none.
 */
export const witnessFileSchema = stateFileSchema.extend({
  lock: lockSchema.nullable().catch(null).default(null),
  /** Whose the shards are. */
  identity: z.object({ uid: z.string().nullable(), removed: z.boolean() }).optional().catch(undefined),
  epoch: shardIdSchema.optional().catch(undefined),
  routers: routersSchema.optional().catch(undefined),
  lineage: z.string().nullable().default(null),
});
