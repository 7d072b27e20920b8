/** How operations are paused and slowed down. */
import { z } from 'zod';
import { SLOWED_BY } from '../../domain/slowed';
import { shardIdSchema } from '../cluster-map';

/** Body of `POST /cluster/operations/{id}/pause`. */
export const pauseBodySchema = z.strictObject({
  reason: z.string().min(1).max(200),
  /** When it resumes by itself. Without it a person resumes it. */
  until: z.iso.datetime({ offset: true }).optional(),
});

const limitFields = {
  max_bytes_per_s: z.int().min(1).nullable(),
  max_rows_per_s: z.int().min(1).nullable(),
  delete_share: z.number().gt(0).max(1).nullable(),
};

/** What an operation keeps to: its own limits, else those of the cluster. */
export const limitsSchema = z.object(limitFields);
export type LimitsView = z.infer<typeof limitsSchema>;

/** Body of `PATCH /cluster/operations/{id}`. What is left out stays as it is; null: as the cluster says. */
export const limitChangeSchema = z.strictObject(limitFields).partial();

/** `HH:MM` in UTC. */
const timeOfDay = z
  .string()
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'expected HH:MM in UTC')
  .nullable();

/** `GET` and `PUT /cluster/limits`. A field that is left out of a PUT gets null, not its former value. */
export const clusterLimitsSchema = z.strictObject({
  max_bytes_per_s: limitFields.max_bytes_per_s.default(null),
  max_rows_per_s: limitFields.max_rows_per_s.default(null),
  delete_share: limitFields.delete_share.default(null),
  active_from: timeOfDay.default(null),
  active_to: timeOfDay.default(null),
});
export type ClusterLimitsView = z.infer<typeof clusterLimitsSchema>;

/** One cause that slows an operation down just now. */
export const slowedSchema = z.object({
  /** The shard that is spared; of a rate the one that the step reads. Null: it is not in the map, or not known. */
  shard_id: shardIdSchema.nullable(),
  by: z.enum(SLOWED_BY),
  /** What the last slow call took, or how long a pause the shard asked for. Null: it is a limit. */
  seen_ms: z.int().nullable(),
  /** What a call may take before it counts as slow. */
  bound_ms: z.int().nullable(),
  /** The share of the last seconds in which the step stood still for it. Null: it did not, or nobody counts. */
  rest_share: z.number().nullable(),
  /** The same in words. */
  text: z.string(),
});
export type SlowedView = z.infer<typeof slowedSchema>;

export const pausedSchema = z.object({
  reason: z.string(),
  since: z.iso.datetime(),
  until: z.iso.datetime().nullable(),
  /** The id of the key that paused it. */
  by: z.string(),
  /** True once it stands still. */
  holds: z.boolean(),
});
