import { isDeepStrictEqual } from 'node:util';
import type { Response } from 'express';
import type { OperationKind } from '../../../domain/cluster-state';
import type { AnnouncedAnswer, OperationRequest } from '../../../contract/requests';
import { operationIdOf } from '../../../contract/ids';
import type { PlannedRefusal } from '../../../domain/plan';
import { DomainError } from '../../../domain/errors';
import type { ApiDeps } from '../../deps';
import { requireAllowedRequest } from '../address-checks';
import { ApiError } from '../../http/problem';
import { viewOfPlan } from '../../views/plan';

/**
 * Starts an operation over REST, or finds the one that the same Idempotency-Key has started. Sets `Location` to the page of the
 * operation. Returns when its change is in the map, or throws the refusal. The operation runs on.
 */
export async function startOperation(
  deps: ApiDeps,
  { kind, key, request }: { kind: OperationKind; key: string; request: OperationRequest },
  response: Response,
): Promise<AnnouncedAnswer & { operationId: string }> {
  await requireAllowedRequest(deps, request);
  await requireReachableCluster(deps);
  const { cluster, settings } = deps;
  const answer = await deps.client.startOperation(kind, { ...settings, cluster, key, request });
  const operationId = operationIdOf(kind, key);
  if (!isDeepStrictEqual(answer.request, request)) {
    throw new ApiError(
      'IdempotencyKeyReused',
      `this Idempotency-Key belongs to operation ${operationId}, which was asked for something else: take a fresh one`,
    );
  }
  response.set('Location', `/cluster/operations/${operationId}`);
  return { ...answer, operationId };
}

type PlannedCall = Parameters<ApiDeps['planner']['plan']>[0];

/** Answers what the call would do, without `dry_run=true`. What stands in its way is part of the answer. */
export async function answerPlan(deps: ApiDeps, call: PlannedCall, response: Response): Promise<void> {
  const refused = 'request' in call ? await notAllowed(deps, call.request) : null;
  await requireReachableCluster(deps);
  const routerUrls = await deps.routers.entries();
  const plan = await deps.planner.plan(call, { ...deps.settings, routerUrls }, refused);
  response.set('Cache-Control', 'no-store').json(viewOfPlan(plan));
}

async function notAllowed(deps: ApiDeps, request: OperationRequest): Promise<PlannedRefusal | null> {
  try {
    await requireAllowedRequest(deps, request);
    return null;
  } catch (error) {
    if (error instanceof DomainError) return { code: error.code, detail: error.message };
    throw error;
  }
}

/**
 * Without a cluster that answers, an operation could only wait unseen: refuse it before anything starts. Reading the map also finds a
 * cluster workflow that was rewound, before a change is made on top of it.
 */
export async function requireReachableCluster(deps: ApiDeps): Promise<void> {
  const reading = await deps.mapReader.readMap();
  if (reading.kind !== 'fresh') throw reading.reason;
}
