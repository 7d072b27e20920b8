import { Router } from 'express';
import { parseOperationId } from '../../contract/ids';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { ApiError } from '../http/problem';
import { jsonBody, readDryRun, readIdempotencyKey } from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { OperationReader } from '../operation-reader';
import { viewOfProgress } from '../views/operation';
import { answerPlan } from './start-operation';

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
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/cluster/operations/:id/cancel')
    .post(mayChange(deps), ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const operationId = requireOperationId(request.params['id']);
      if (readDryRun(request)) return answerPlan(deps, { kind: 'cancel', operationId }, response);
      const { id: callerId } = authenticator.authenticate(request, 'admin');
      const progress = await deps.client.cancelOperation(operationId, `cancelled over REST by ${callerId}`);
      response.json(viewOfProgress(progress, reader.linkTo(operationId)));
    })
    .all(methodNotAllowed('POST'));

  return router;
}

function requireOperationId(id: string): string {
  if (parseOperationId(id) !== null) return id;
  throw new ApiError('UnknownOperation', 'there is no such operation: GET /cluster/operations lists them');
}
