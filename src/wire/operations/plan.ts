/** What the calls that start or cancel an operation take and answer with `?dry_run=true`. */
import { z } from 'zod';
import { shardIdSchema } from '../cluster-map';

/** Their whole query: a typo must not start an operation. */
export const dryRunQuerySchema = z.strictObject({ dry_run: z.enum(['true', 'false']).optional() });

export const planViewSchema = z.object({
  dry_run: z.literal(true),
  kind: z.enum(['grow', 'drain', 'check', 'repair', 'cancel']),
  would: z.enum(['start', 'refuse']),
  refusal: z.object({ code: z.string(), detail: z.string() }).nullable(),
  steps: z.array(z.object({ phase: z.string(), does: z.string() })),
  /** Of those that are read at most 64, with the longest stops. Null: unknown before the operation looks. */
  shards: z.array(
    z.object({
      shard_id: shardIdSchema,
      /** `read`: a check or a repair reads it. */
      role: z.enum(['donor', 'receiver', 'read']),
      /** Null: it is not read. */
      source: z.enum(['follower', 'primary', 'pages']).nullable(),
      rows: z.int().nullable(),
      bytes: z.int().nullable(),
      /** Of a donor what leaves it, of a receiver what it gets. */
      rows_to_move: z.int().nullable(),
      bytes_to_move: z.int().nullable(),
      scans: z.int(),
      /** How long its clients stand still for each scan. */
      stop_ms: z.int(),
    }),
  ),
  shards_left_out: z.int(),
  /** Null: of a repair, before it has compared. */
  rows_to_move: z.int().nullable(),
  bytes_to_move: z.int().nullable(),
  duration_s: z.object({ least: z.int(), most: z.int(), basis: z.string() }),
  /** Who would notice, one sentence each. */
  noticed_by: z.array(z.string()),
  /** What only the operation itself finds out. */
  not_checked: z.array(z.string()),
});
export type PlanView = z.infer<typeof planViewSchema>;
