import { isDeepStrictEqual } from 'node:util';
import type { Response } from 'express';
import type { OperationKind } from '../../domain/cluster-state';
import type { AnnouncedAnswer, OperationRequest } from '../../contract/requests';
import { operationIdOf } from '../../contract/ids';
import type { ApiDeps } from '../deps';
import { ApiError } from '../http/problem';

/**
 * Starts an operation over REST, or finds the one that the same Idempotency-Key has started; sets `Location` to where it is
 * watched. Returns when its change is in the map, or throws the refusal. It runs on.
 */
export async function startOperation(
  deps: ApiDeps,
  { kind, key, wanted }: { kind: OperationKind; key: string; wanted: OperationRequest },
  response: Response,
): Promise<AnnouncedAnswer & { operationId: string }> {
  await requireReachableCluster(deps);
  const { cluster, settings } = deps;
  const answer = await deps.gateway.startOperation(kind, { ...settings, cluster, key, request: wanted });
  const operationId = operationIdOf(kind, key);
  if (!isDeepStrictEqual(answer.request, wanted)) {
    throw new ApiError(
      'IdempotencyKeyReused',
      `this Idempotency-Key belongs to operation ${operationId}, which was asked for something else: take a fresh one`,
    );
  }
  response.set('Location', `/cluster/operations/${operationId}`);
  return { ...answer, operationId };
}

/**
 * Without a cluster that answers, an operation could only wait unseen: refuse it before anything is started. Reading the map also finds a cluster
 * workflow that was rewound, before anything is changed on top of that.
 */
export async function requireReachableCluster(deps: ApiDeps): Promise<void> {
  const reading = await deps.mapReader.read();
  if (reading.kind !== 'fresh') throw reading.reason;
}
