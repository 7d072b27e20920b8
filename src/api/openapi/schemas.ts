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
import { diagnosisSchema } from '../../wire/diagnosis';
import { hookListSchema, hooksBodySchema } from '../../wire/hooks';
import { clusterLimitsSchema, limitChangeSchema, pauseBodySchema } from '../../wire/operations/pace';
import { planViewSchema } from '../../wire/operations/plan';
import { problemSchema } from '../../wire/problem';
import { checkBodySchema, repairBodySchema, startedOperationSchema } from '../../wire/operations/repair';
import { restoreAnswerSchema, restoreBodySchema } from '../../wire/restore';
import { patchRoutersBodySchema, putRoutersBodySchema, routersViewSchema } from '../../wire/routers';
import { identitiesSchema, shardsViewSchema } from '../../wire/shards';
import { PROBLEM_STATUS, type ProblemCode } from '../http/problem';

/** Every code that an answer can have. */
export const PROBLEM_CODES = Object.keys(PROBLEM_STATUS) as ProblemCode[];

/** What a JSON answer holds. */
export const ANSWERS = {
  Autoscale: autoscaleViewSchema,
  ClusterHealth: clusterHealthSchema,
  Diagnosis: diagnosisSchema,
  Evaluated: evaluateAnswerSchema,
  HookList: hookListSchema,
  Identities: identitiesSchema,
  Limits: clusterLimitsSchema,
  // With `?dry_run=true` a plan, else what the call itself answers with.
  MapOrPlan: z.union([planViewSchema, shardMapSchema]),
  NoticeList: noticeListSchema,
  // OpenAPI has a schema of its own for the rest.
  OpenApi: z.looseObject({ openapi: z.string(), info: z.looseObject({ title: z.string(), version: z.string() }) }),
  Operation: operationViewSchema,
  OperationList: operationListSchema,
  OperationOrPlan: z.union([planViewSchema, operationViewSchema]),
  Plan: planViewSchema,
  Problem: problemSchema.extend({ code: z.enum(PROBLEM_CODES) }),
  Restored: restoreAnswerSchema,
  Routers: routersViewSchema,
  ShardMap: shardMapSchema,
  ShardList: shardsViewSchema,
  StartedOperation: startedOperationSchema,
  StartedOrPlan: z.union([planViewSchema, startedOperationSchema]),
} as const;
export type AnswerName = keyof typeof ANSWERS;

/** A body with `shards` is never read as one shard. */
const growByOneSchema = growBodySchema.extend({ shards: z.never().optional() });

/** What a route takes as its body. Parts of one that have a name make better clients. */
export const BODIES = {
  AddShardBody: addShardBodySchema,
  CheckBody: checkBodySchema,
  DrainBody: drainBodySchema,
  EvaluateBody: evaluateBodySchema,
  GrowBody: z.union([growByOneSchema, growBySeveralBodySchema]),
  GrowByOneBody: growByOneSchema,
  GrowBySeveralBody: growBySeveralBodySchema,
  HooksBody: hooksBodySchema,
  LimitsBody: clusterLimitsSchema,
  LimitChangeBody: limitChangeSchema,
  PatchRoutersBody: patchRoutersBodySchema,
  PauseBody: pauseBodySchema,
  PutRoutersBody: putRoutersBodySchema,
  PolicyBody: z.union([policyBodySchema, stopPolicyBodySchema]),
  RemoveStandbyBody: removeStandbySchema,
  RepairBody: repairBodySchema,
  ReplaceAddressBody: replaceAddressBodySchema,
  RestoreBody: restoreBodySchema,
  StandbyBody: standbyBodySchema,
} as const;
export type BodyName = keyof typeof BODIES;
