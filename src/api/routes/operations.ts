import { Router } from 'express';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { jsonBody, readIdempotencyKey, requireOperationId } from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { OperationReader } from '../operation-reader';
import { viewOfProgress } from '../views/operation';
import { readLimitChange } from './pace';

/** Every operation, running or ended: list, show, cancel. */
export function operationsRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator } = deps;
  const reader = new OperationReader(deps);

  router
    .route('/cluster/operations')
    .get(authenticator.requires('read'), async (_request, response) => {
      response.json(await reader.listOperations());
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/cluster/operations/:id')
    .get(authenticator.requires('read'), async (request, response) => {
      response.json(await reader.showOperation(requireOperationId(request.params['id'])));
    })
    .patch(mayChange(deps), ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const operationId = requireOperationId(request.params['id']);
      const change = readLimitChange(request);
      const progress = await deps.client.adjustOperation(operationId, { kind: 'limit', change });
      response.json(viewOfProgress(progress, reader.linkTo(operationId)));
    })
    .all(methodNotAllowed('GET', 'HEAD', 'PATCH'));

  router
    .route('/cluster/operations/:id/cancel')
    .post(mayChange(deps), ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const operationId = requireOperationId(request.params['id']);
      const { id: callerId } = authenticator.authenticate(request, 'admin');
      const progress = await deps.client.cancelOperation(operationId, `cancelled over REST by ${callerId}`);
      response.json(viewOfProgress(progress, reader.linkTo(operationId)));
    })
    .all(methodNotAllowed('POST'));

  return router;
}
