import { Router, type Request } from 'express';
import type { WorkLimits } from '../../domain/work-limits';
import { limitChangeSchema, pauseBodySchema } from '../../wire/pace';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { jsonBody, readBody, readIdempotencyKey, requireOperationId } from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { OperationReader } from '../operation-reader';
import { viewOfProgress } from '../views/operation';

/** Pause and resume of an operation. Both answer the operation. */
export function paceRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator } = deps;
  const reader = new OperationReader(deps);

  router
    .route('/cluster/operations/:id/pause')
    .post(mayChange(deps), ...jsonBody, async (request, response) => {
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
    .post(mayChange(deps), ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const operationId = requireOperationId(request.params['id']);
      const progress = await deps.client.adjustOperation(operationId, { kind: 'resume' });
      response.json(viewOfProgress(progress, reader.linkTo(operationId)));
    })
    .all(methodNotAllowed('POST'));

  return router;
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
