/**
 * What goes in and out of `POST /cluster/check` and `POST /cluster/repair`. Unknown fields are refused: a typo must not
 * mean the default.
 */
import { z } from 'zod';
import { givenUrlSchema, shardIdSchema } from '../cluster-map';
import { scanFields } from './scan';

/** Keeps what an operation carries in its history far below Temporal's limits. */
const NAMES_MAX = 1_000;
const LEFTOVERS_MAX = 64;

const leftoverSchema = z.strictObject({
  primary_url: givenUrlSchema,
  replica_urls: z.array(givenUrlSchema).max(32).default([]),
});

export const checkBodySchema = z.strictObject({
  /** All of them when left out. */
  collections: z.array(z.string().min(1)).min(1).max(NAMES_MAX).optional(),
  /** Shards that are no longer in the map. */
  leftovers: z.array(leftoverSchema).max(LEFTOVERS_MAX).default([]),
  ...scanFields,
});

export const repairBodySchema = checkBodySchema.extend({
  /**
   * Shard ids and leftovers' URLs: whose value counts, first one first, where several differ and the owner has none.
   */
  prefer: z
    .array(z.union([shardIdSchema, z.string()]))
    .max(NAMES_MAX)
    .default([]),
});

export const startedOperationSchema = z.object({ operation: z.string() });
export type StartedOperation = z.infer<typeof startedOperationSchema>;

/** Findings on a shard that does not own the points: see domain/findings.ts. */
const countsSchema = {
  points: z.number(),
  agreeing: z.number(),
  differing: z.number(),
  only_here: z.number(),
  conflicting: z.number(),
};

const passFindingsSchema = z.object({
  totals: z.object({
    collections: z.number(),
    collections_missing: z.number(),
    collections_not_compared: z.number(),
    ...countsSchema,
  }),
  /** Perhaps not all of them, when there are very many; `totals` is of all. */
  collections: z.array(
    z.object({
      collection: z.string(),
      not_compared: z.enum(['other_schema', 'multivector', 'only_on_leftovers']).nullable(),
      missing_on: z.array(z.string()),
      other_schema_on: z.array(z.string()),
      points: z.number(),
      by_holder: z.record(z.string(), z.object(countsSchema)),
    }),
  ),
  samples: z.array(
    z.object({
      collection: z.string(),
      finding: z.enum(['agreeing', 'differing', 'only_here', 'conflicting']),
      holder: z.string(),
      offset: z.number(),
    }),
  ),
});
export type PassFindingsView = z.infer<typeof passFindingsSchema>;

export const findingsSchema = z.object({
  /** Of a check: what there is. Of a repair: what there was when it began. */
  found: passFindingsSchema,
  mended: z.object({ collections_created: z.number(), moved: z.number(), removed: z.number() }),
  /** Of a repair that has succeeded: what an operator must decide on. */
  left: passFindingsSchema.nullable(),
});
export type FindingsView = z.infer<typeof findingsSchema>;
