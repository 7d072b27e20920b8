/** The schemas of the document, by the names that it gives them. They are those that the routes themselves use. */
import { z } from 'zod';
import { autoscaleViewSchema, evaluateAnswerSchema, evaluateBodySchema } from '../../wire/autoscale';
import { policyBodySchema, removeStandbySchema, standbyBodySchema, stopPolicyBodySchema } from '../../wire/autoscale';
import { shardMapSchema } from '../../wire/cluster-map';
import {
  addShardBodySchema,
  clusterHealthSchema,
  drainBodySchema,
  growBodySchema,
  growBySeveralBodySchema,
  noticeListSchema,
  operationListSchema,
  operationViewSchema,
  replaceAddressBodySchema,
} from '../../wire/coordinator-api';
import { openApiSchema } from '../../wire/openapi';
import { problemSchema } from '../../wire/problem';
import { checkBodySchema, repairBodySchema, startedOperationSchema } from '../../wire/repair';
import { restoreAnswerSchema, restoreBodySchema } from '../../wire/restore';
import { identitiesSchema, shardsViewSchema } from '../../wire/shards';
import { PROBLEM_STATUS, type ProblemCode } from '../http/problem';

/** Every code that an answer can have. */
export const PROBLEM_CODES = Object.keys(PROBLEM_STATUS) as ProblemCode[];

/** What a JSON answer holds. */
export const ANSWERS = {
  Autoscale: autoscaleViewSchema,
  ClusterHealth: clusterHealthSchema,
  Evaluated: evaluateAnswerSchema,
  Identities: identitiesSchema,
  Notices: noticeListSchema,
  OpenApi: openApiSchema,
  Operation: operationViewSchema,
  Operations: operationListSchema,
  Problem: problemSchema.extend({ code: z.enum(PROBLEM_CODES) }),
  Restored: restoreAnswerSchema,
  ShardMap: shardMapSchema,
  Shards: shardsViewSchema,
  StartedOperation: startedOperationSchema,
} as const;
export type AnswerName = keyof typeof ANSWERS;

/** What a route takes as its body. */
export const BODIES = {
  AddShardBody: addShardBodySchema,
  CheckBody: checkBodySchema,
  DrainBody: drainBodySchema,
  EvaluateBody: evaluateBodySchema,
  // A body with `shards` is never read as one shard.
  GrowBody: z.union([growBodySchema.extend({ shards: z.never().optional() }), growBySeveralBodySchema]),
  PolicyBody: z.union([policyBodySchema, stopPolicyBodySchema]),
  RemoveStandbyBody: removeStandbySchema,
  RepairBody: repairBodySchema,
  ReplaceAddressBody: replaceAddressBodySchema,
  RestoreBody: restoreBodySchema,
  StandbyBody: standbyBodySchema,
} as const;
export type BodyName = keyof typeof BODIES;
