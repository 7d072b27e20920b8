import { Router, type Request, type Response } from 'express';
import type { AutoscalePolicy } from '../../domain/autoscale-policy';
import { DomainError } from '../../domain/errors';
import { normalizeShardUrl } from '../../domain/shard-map';
import {
  evaluateBodySchema,
  policyBodySchema,
  removeStandbySchema,
  standbyBodySchema,
  stopPolicyBodySchema,
  type PolicyBody,
} from '../../wire/autoscale';
import { describeIssues } from '../../wire/problem';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { ApiError } from '../http/problem';
import { jsonBody, readAddress, readBody, readIdempotencyKey } from '../http/requests';
import { requireFreeStandby } from './address-checks';
import { methodNotAllowed } from '../http/routing';
import { viewOfAutoscale, viewOfEvaluated } from '../views/autoscale';

/** The autoscale policy and its standbys. Every change answers with what `GET /cluster/autoscale` shows. */
export function autoscaleRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const reader = deps.authenticator.requires('read');
  const admin = mayChange(deps);

  router
    .route('/cluster/autoscale')
    .get(reader, (_request, response) => answerState(deps, response))
    .put(admin, ...jsonBody, async (request, response) => {
      const onlyStops = stopPolicyBodySchema.safeParse(request.body).success;
      const policy = onlyStops ? null : readPolicy(request);
      const state = await deps.autoscale.readState();
      await deps.client.applyTransition({
        type: 'replacePolicy',
        policy: policy ?? { ...state.policy, enabled: false },
      });
      await answerState(deps, response);
    })
    .all(methodNotAllowed('GET', 'HEAD', 'PUT'));

  router
    .route('/cluster/autoscale/evaluate')
    .post(admin, ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const { dryRun, dry_run } = readBody(evaluateBodySchema, request);
      await deps.autoscale.readState();
      response.json(viewOfEvaluated(await deps.autoscale.evaluate({ dryRun: dryRun ?? dry_run ?? false })));
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/standbys')
    .post(admin, ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const address = readAddress(readBody(standbyBodySchema, request));
      await deps.autoscale.readState();
      await requireFreeStandby(deps, address);
      await deps.client.applyTransition({ type: 'addStandby', address });
      await answerState(deps, response);
    })
    .delete(admin, ...jsonBody, async (request, response) => {
      const primaryUrl = readStandbyUrl(request);
      await deps.autoscale.readState();
      await deps.client.applyTransition({ type: 'removeStandby', primaryUrl });
      await answerState(deps, response);
    })
    .all(methodNotAllowed('POST', 'DELETE'));

  return router;
}

async function answerState(deps: ApiDeps, response: Response): Promise<void> {
  const state = await deps.autoscale.readState();
  const schedule = await deps.autoscale.syncSchedule(state.policy);
  const { operations } = await deps.client.queryState();
  const view = viewOfAutoscale(state, { schedule, operations, nowMs: Date.now() });
  response.set('Cache-Control', 'no-store').json(view);
}

/** @throws ApiError MalformedBody; DomainError InvalidRequest */
function readPolicy(request: Request): AutoscalePolicy {
  const body: PolicyBody = readBody(policyBodySchema, request);
  if (body.enabled && body.high_water_points === 0 && body.high_water_bytes === 0) {
    throw new DomainError(
      'InvalidRequest',
      'enabled with high_water_points 0 and high_water_bytes 0 would never grow the cluster: give the points or bytes of one shard above which it grows, or enabled false',
    );
  }
  if (body.high_water_points > 0 && body.low_water_points > body.high_water_points) {
    throw new DomainError(
      'InvalidRequest',
      `expected low_water_points (${body.low_water_points}) to be at most high_water_points (${body.high_water_points}): the cluster would shrink and grow in turn`,
    );
  }
  return {
    enabled: body.enabled,
    highWaterPoints: body.high_water_points,
    highWaterBytes: body.high_water_bytes,
    lowWaterPoints: body.low_water_points,
    intervalSecs: body.interval_secs,
    cooldownSecs: body.cooldown_secs,
    shrinkCooldownSecs: body.shrink_cooldown_secs,
    maxShards: body.max_shards,
    minShards: body.min_shards,
    sustainEvaluations: body.sustain_evaluations,
  };
}

/**
 * From the query, or from a body: not every HTTP client sends one with a DELETE. A body that is not looked at could name another standby,
 * so both must name the same one. @throws ApiError InvalidRequest; DomainError InvalidShardUrl
 */
function readStandbyUrl(request: Request): string {
  const body: unknown = request.body;
  const given: unknown[] = [
    ...(Object.keys(request.query).length > 0 ? [request.query] : []),
    ...(body === undefined ? [] : [body]),
  ];
  const urls = (given.length === 0 ? [{}] : given).map((each) => {
    const parsed = removeStandbySchema.safeParse(each);
    if (parsed.success) return normalizeShardUrl(parsed.data.primary_url);
    throw new ApiError(
      'InvalidRequest',
      `expected one primary_url, in the query or in the body: ${describeIssues(parsed.error)}`,
    );
  });
  const [url = ''] = urls;
  if (urls.some((each) => each !== url)) {
    throw new ApiError('InvalidRequest', 'expected one primary_url, the query and the body name two: give one of them');
  }
  return url;
}
