import { z } from 'zod';
import { givenUrlSchema, shardIdSchema } from './cluster-map';
import { limitsSchema, pausedSchema, slowedSchema } from './operations/pace';
import { findingsSchema } from './operations/repair';
import { scanFields } from './operations/scan';

/** Body of `POST /cluster/shards` and `POST /cluster/shards/joining`. Unknown fields are ignored, as Quiver does. */
export const addShardBodySchema = z.object({
  primary_url: givenUrlSchema,
  replica_urls: z.array(givenUrlSchema).max(32).default([]),
  /** Where its gRPC answers, when that is not the REST port with the offset of the settings. Quiver does not know it. */
  grpc_url: givenUrlSchema.optional(),
});
export type AddShardBody = z.infer<typeof addShardBodySchema>;

/** Body of `POST /cluster/shards/{id}/drain`, which may be left out. */
export const drainBodySchema = z.object(scanFields);

/** Take shards that hold points already; what they hold of the moving slice is overwritten or deleted. */
const allowNonempty = { allow_nonempty: z.boolean().default(false) };

/** Body of `POST /cluster/shards/grow` by one shard, as Quiver knows it. */
export const growBodySchema = addShardBodySchema.extend({ ...allowNonempty, ...scanFields });

/**
 * Body of the same route for several shards that join together. A body that names several shards is never read as one
 * that names one: see `readGrow` in api/routes/shards.ts.
 */
export const growBySeveralBodySchema = z.object({
  shards: z.array(addShardBodySchema).min(1).max(64),
  ...allowNonempty,
  ...scanFields,
});

/** Body of `PATCH /cluster/shards/{id}`. What is left out stays as it is. */
export const replaceAddressBodySchema = z
  .strictObject({
    primary_url: givenUrlSchema.optional(),
    replica_urls: z.array(givenUrlSchema).max(32).optional(),
    grpc_url: givenUrlSchema.optional(),
  })
  .meta({ minProperties: 1 });
export type ReplaceAddressBody = z.infer<typeof replaceAddressBodySchema>;

/**
 * The caller's `Idempotency-Key`: part of workflow ids and paths, so it holds nothing that either would have to escape.
 */
export const idempotencyKeySchema = z.string().regex(/^[A-Za-z0-9_.:-]{1,128}$/);

/** `GET /cluster/health`: does each shard's primary answer its `/healthz`? By shard id. */
export const clusterHealthSchema = z.record(z.string(), z.boolean());

const waitingSchema = z.object({ reason: z.string(), since: z.iso.datetime(), ends_when: z.string() });

const phaseSchema = z.object({
  phase: z.string(),
  started_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  note: z.string(),
});

const outcomeSchema = z.object({
  message: z.string(),
  points_moved: z.number(),
  dropped_by_donor: z.record(z.string(), z.number()),
  points_kept: z.number(),
  /** What it leaves to a person, and the call that mends it. */
  attention: z.array(z.object({ what: z.string(), points: z.number(), mended_by: z.string() })),
  duration_s: z.number(),
});

/**
 * One operation as `GET /cluster/operations` and `GET /cluster/operations/{id}` show it. Facts that only its workflow knows are null
 * when only its record (see `OperationRecord`) could be read.
 */
export const operationViewSchema = z.object({
  id: z.string(),
  kind: z.string(),
  /** `failed` and `cancelled` only after their undo. */
  status: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
  shard_ids: z.array(shardIdSchema),
  phase: z.string().nullable(),
  points_done: z.number(),
  points_expected: z.number().nullable(),
  bytes_done: z.number().nullable(),
  bytes_expected: z.number().nullable(),
  rate_points_per_s: z.number().nullable(),
  eta_s: z.number().nullable(),
  waiting: waitingSchema.nullable(),
  /** Null: nobody has paused it. */
  paused: pausedSchema.nullable(),
  limits: limitsSchema,
  /** What slows it down just now, at most 16 causes. Empty: nothing does, or it has ended. */
  slowed: z.array(slowedSchema),
  /** Attempts of steps that failed and were made again. */
  attempts: z.number().nullable(),
  cancel_requested: z.boolean().nullable(),
  point_of_no_return_passed: z.boolean().nullable(),
  next: z.string().nullable(),
  started_at: z.iso.datetime(),
  updated_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
  outcome: outcomeSchema.nullable(),
  /** How each shard is read: from where, how fast, and how long it stood still for it. At most 64, those with the longest stops. */
  sources: z.array(
    z.object({
      shard_id: shardIdSchema,
      source: z.enum(['follower', 'primary', 'pages']),
      url: z.string(),
      reason: z.string(),
      scans: z.number(),
      rows_read: z.number(),
      rows_per_s: z.number(),
      stops_ms: z.array(z.number()),
      estimate: z
        .object({
          rows: z.number(),
          bytes: z.number(),
          scans: z.number(),
          questions: z.number(),
          stop_ms: z.number(),
          memory_bytes: z.number(),
        })
        .nullable(),
    }),
  ),
  /** How many more shards are read. */
  sources_left_out: z.int(),
  /** Of a check or a repair, growing while it reads; null in every other operation. */
  findings: findingsSchema.nullable(),
  phases: z.array(phaseSchema),
  web_ui_url: z.string().nullable(),
});
export type OperationView = z.infer<typeof operationViewSchema>;

export const operationListSchema = z.object({ operations: z.array(operationViewSchema) });
export type OperationList = z.infer<typeof operationListSchema>;

/** `GET /cluster/notices`: what an operator must notice, newest first. */
export const noticeListSchema = z.object({
  notices: z.array(
    z.object({
      /** For `DELETE /cluster/notices/{key}`. */
      key: z.string(),
      code: z.string(),
      message: z.string(),
      since: z.iso.datetime(),
      last_seen: z.iso.datetime(),
      operation_id: z.string().nullable(),
    }),
  ),
});
export type NoticeList = z.infer<typeof noticeListSchema>;
