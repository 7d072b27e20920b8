/**
 * What the commands read of the answers. A field that an older coordinator does not send is optional here, and what no command shows is
 * left out: the shapes of the API itself are in src/wire.
 */
import { z } from 'zod';
import { operationViewSchema } from '../../wire/coordinator-api';

export const throttleSchema = z.object({
  max_bytes_per_s: z.number().nullable(),
  max_rows_per_s: z.number().nullable(),
  delete_share: z.number().nullable(),
});
export type Throttle = z.infer<typeof throttleSchema>;

export const operationSchema = operationViewSchema.extend({
  paused: z
    .object({
      reason: z.string(),
      since: z.string(),
      until: z.string().nullable(),
      by: z.string().nullable().optional(),
      holds: z.boolean(),
    })
    .nullish(),
  limits: throttleSchema.nullish(),
  slowed: z.array(z.object({ by: z.string(), shard_id: z.number().nullable(), text: z.string() })).optional(),
});
export type Operation = z.infer<typeof operationSchema>;

export const operationsSchema = z.object({ operations: z.array(operationSchema) });

/** `GET /cluster/limits`: of all operations, and when they may work (UTC). */
export const limitsSchema = throttleSchema.extend({
  active_from: z.string().nullable(),
  active_to: z.string().nullable(),
});
export type Limits = z.infer<typeof limitsSchema>;

export const routersSchema = z.object({
  entries: z.array(z.string()),
  routers: z.array(
    z.object({
      url: z.string(),
      entry: z.string(),
      version: z.number().nullable(),
      lag: z.number().nullable(),
      error: z.string().nullable(),
    }),
  ),
  pollers: z.array(
    z.object({
      address: z.string(),
      key_id: z.string().nullable(),
      last_poll: z.string(),
      version: z.number().nullable(),
      explained_by: z.string().nullable(),
    }),
  ),
  /** What a change that takes an entry out risks. */
  risk: z.string().nullish(),
});
export type Routers = z.infer<typeof routersSchema>;

/** Answer to `?dry_run=true`. */
export const planSchema = z.object({
  dry_run: z.literal(true),
  kind: z.string(),
  would: z.enum(['start', 'refuse']),
  refusal: z.object({ code: z.string(), detail: z.string() }).nullable(),
  steps: z.array(z.object({ phase: z.string(), does: z.string() })),
  shards: z.array(
    z.object({
      shard_id: z.number().nullable(),
      role: z.string(),
      source: z.string().nullable(),
      url: z.string().optional(),
      rows: z.number().nullable(),
      bytes: z.number().nullable(),
      rows_to_move: z.number().nullable(),
      bytes_to_move: z.number().nullable(),
      scans: z.number().nullable(),
      stop_ms: z.number().nullable(),
    }),
  ),
  rows_to_move: z.number().nullable(),
  bytes_to_move: z.number().nullable(),
  duration_s: z.object({ least: z.number(), most: z.number(), basis: z.string() }).nullable(),
  noticed_by: z.array(z.string()),
  /** What only the operation itself finds out. */
  not_checked: z.array(z.string()).optional(),
});
export type Plan = z.infer<typeof planSchema>;
