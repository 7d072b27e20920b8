import { Router, type Request } from 'express';
import type { ClusterState } from '../../../domain/cluster-state';
import type { ClusterLimits, WorkLimits } from '../../../domain/work-limits';
import {
  clusterLimitsSchema,
  limitChangeSchema,
  pauseBodySchema,
  type ClusterLimitsView,
} from '../../../wire/operations/pace';
import type { ApiDeps } from '../../deps';
import { mayAdjust } from '../../http/changes';
import { jsonBody, readBody, readIdempotencyKey, requireOperationId } from '../../http/requests';
import { methodNotAllowed } from '../../http/routing';
import { OperationReader } from '../../operation-reader';
import { viewOfProgress } from '../../views/operation';
import { viewOfClusterLimits } from '../../views/pace';

/** Pause and resume of an operation, which both answer it; the limits of the cluster. */
export function paceRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator } = deps;
  const reader = new OperationReader(deps);

  router
    .route('/cluster/operations/:id/pause')
    .post(mayAdjust(deps), ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const operationId = requireOperationId(request.params['id']);
      const { reason, until } = readBody(pauseBodySchema, request);
      const { id: by } = authenticator.authenticate(request, 'admin');
      const pause = { reason, by, untilMs: until === undefined ? null : Date.parse(until) };
      const progress = await deps.client.adjustOperation(operationId, { kind: 'pause', request: pause });
      response.json(viewOfProgress(progress, reader.linkTo(operationId)));
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/operations/:id/resume')
    .post(mayAdjust(deps), ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const operationId = requireOperationId(request.params['id']);
      const progress = await deps.client.adjustOperation(operationId, { kind: 'resume' });
      response.json(viewOfProgress(progress, reader.linkTo(operationId)));
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/limits')
    .get(authenticator.requires('read'), async (_request, response) => {
      const { limits } = await deps.client.queryState();
      response.set('Cache-Control', 'no-store').json(viewOfClusterLimits(limits));
    })
    .put(mayAdjust(deps), ...jsonBody, async (request, response) => {
      const limits = readClusterLimits(readBody(clusterLimitsSchema, request));
      await deps.client.applyTransition({ type: 'replaceLimits', limits });
      await tellRunning(deps, limits);
      response.set('Cache-Control', 'no-store').json(viewOfClusterLimits(limits));
    })
    .all(methodNotAllowed('GET', 'HEAD', 'PUT'));

  return router;
}

/** An operation that is not reached learns of it when it next asks the cluster for anything. */
async function tellRunning({ client, logger }: ApiDeps, limits: ClusterLimits): Promise<void> {
  try {
    const { operations }: ClusterState = await client.queryState();
    const running = operations.filter(({ end }) => end === null);
    await Promise.all(
      running.map(({ operationId }) =>
        client.adjustOperation(operationId, { kind: 'clusterLimits', limits }).catch((error: unknown) => {
          logger.debug({ err: error, operationId }, 'a running operation was not told of the new limits yet');
        }),
      ),
    );
  } catch (error) {
    logger.debug({ err: error }, 'running operations were not told of the new limits yet');
  }
}

function readClusterLimits(body: ClusterLimitsView): ClusterLimits {
  return {
    maxBytesPerS: body.max_bytes_per_s,
    maxRowsPerS: body.max_rows_per_s,
    deleteShare: body.delete_share,
    activeFrom: body.active_from,
    activeTo: body.active_to,
  };
}

/** @throws ApiError MalformedBody */
export function readLimitChange(request: Request): Partial<WorkLimits> {
  const { max_bytes_per_s, max_rows_per_s, delete_share } = readBody(limitChangeSchema, request);
  return {
    ...(max_bytes_per_s === undefined ? {} : { maxBytesPerS: max_bytes_per_s }),
    ...(max_rows_per_s === undefined ? {} : { maxRowsPerS: max_rows_per_s }),
    ...(delete_share === undefined ? {} : { deleteShare: delete_share }),
  };
}
