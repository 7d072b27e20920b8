import { z } from 'zod';
import { DEFAULT_POLICY, POLICY_BOUNDS } from '../domain/autoscale-policy';
import { givenUrlSchema } from './cluster-map';
import { addShardBodySchema } from './coordinator-api';

const within = ({ min, max }: { min: number; max: number }) => z.int().min(min).max(max);

/** The policy as Quiver's settings name it. */
const policySchema = z.strictObject({
  enabled: z.boolean(),
  high_water_points: within(POLICY_BOUNDS.highWaterPoints),
  high_water_bytes: within(POLICY_BOUNDS.highWaterBytes),
  low_water_points: within(POLICY_BOUNDS.lowWaterPoints),
  interval_secs: within(POLICY_BOUNDS.intervalSecs),
  cooldown_secs: within(POLICY_BOUNDS.cooldownSecs),
  shrink_cooldown_secs: within(POLICY_BOUNDS.shrinkCooldownSecs),
  max_shards: within(POLICY_BOUNDS.maxShards),
  min_shards: within(POLICY_BOUNDS.minShards),
  sustain_evaluations: within(POLICY_BOUNDS.sustainEvaluations),
});

/**
 * Body of `PUT /cluster/autoscale`: the whole policy. A field that is left out gets its default, not its former value.
 */
export const policyBodySchema = policySchema.extend({
  high_water_bytes: policySchema.shape.high_water_bytes.default(DEFAULT_POLICY.highWaterBytes),
  low_water_points: policySchema.shape.low_water_points.default(DEFAULT_POLICY.lowWaterPoints),
  interval_secs: policySchema.shape.interval_secs.default(DEFAULT_POLICY.intervalSecs),
  cooldown_secs: policySchema.shape.cooldown_secs.default(DEFAULT_POLICY.cooldownSecs),
  shrink_cooldown_secs: policySchema.shape.shrink_cooldown_secs.default(DEFAULT_POLICY.shrinkCooldownSecs),
  max_shards: policySchema.shape.max_shards.default(DEFAULT_POLICY.maxShards),
  min_shards: policySchema.shape.min_shards.default(DEFAULT_POLICY.minShards),
  sustain_evaluations: policySchema.shape.sustain_evaluations.default(DEFAULT_POLICY.sustainEvaluations),
});
export type PolicyBody = z.infer<typeof policyBodySchema>;

/** The other body of `PUT /cluster/autoscale`, by which nobody has to know the rest of the policy to stop it. */
export const stopPolicyBodySchema = z.strictObject({ enabled: z.literal(false) });

/** Body of `POST /cluster/autoscale/evaluate`. Both names mean the same. */
export const evaluateBodySchema = z.strictObject({
  dryRun: z.boolean().optional(),
  dry_run: z.boolean().optional(),
});

/** Body of `POST /cluster/standbys`. */
export const standbyBodySchema = addShardBodySchema;

/** What `DELETE /cluster/standbys` is told, in its query or its body. */
export const removeStandbySchema = z.strictObject({ primary_url: givenUrlSchema });

const evaluationSchema = z.object({
  at: z.iso.datetime(),
  reason: z.string(),
  message: z.string(),
  /** Null when no shard was read. */
  points_max: z.number().nullable(),
  /** Ids of the shards that could not be read. */
  unreadable: z.array(z.number()),
  /** The grow or the drain that it started. */
  operation_id: z.string().nullable(),
  /** The code with which that was refused. */
  refusal: z.string().nullable(),
});

export const evaluateAnswerSchema = evaluationSchema.extend({ dry_run: z.boolean() });
export type EvaluateAnswer = z.infer<typeof evaluateAnswerSchema>;

/** `GET /cluster/autoscale`. */
export const autoscaleViewSchema = z.object({
  policy: policySchema,
  /** First in, first out. */
  standbys: z.array(
    z.object({
      primary_url: z.string(),
      replica_urls: z.array(z.string()),
      added_at: z.iso.datetime(),
      unusable: z.object({ reason: z.string(), since: z.iso.datetime(), tried_at: z.iso.datetime() }).nullable(),
    }),
  ),
  last_scale_at: z.iso.datetime().nullable(),
  cooldown_left_secs: z.int(),
  /** Null while the policy is disabled, and when Temporal does not tell. */
  next_evaluation_at: z.iso.datetime().nullable(),
  /** Of the fullest shard, from the evaluations that are kept since the last grow or drain. Null while too few tell. */
  forecast: z.object({ points_per_day: z.int(), days_until_mark: z.number().nullable() }).nullable(),
  /** Newest first. */
  evaluations: z.array(evaluationSchema),
  /** What an operator must notice. */
  notices: z.array(z.object({ code: z.string(), message: z.string(), since: z.iso.datetime() })),
});
export type AutoscaleView = z.infer<typeof autoscaleViewSchema>;
