import { Router, type Request, type Response } from 'express';
import type { ApiDeps } from '../../deps';
import { awaitTold, preferredWaitS, seatIfFree } from '../../events/long-poll';
import { etagOf, OPERATION_TOPIC, type ToldEvent } from '../../events/ring';
import { mayAdjust, mayChange } from '../../http/changes';
import { isUnchanged } from '../../http/conditional';
import { jsonBody, readDryRun, readIdempotencyKey, requireOperationId } from '../../http/requests';
import { methodNotAllowed } from '../../http/routing';
import { OperationReader } from '../../operation-reader';
import { viewOfProgress } from '../../views/operation';
import { readLimitChange } from './pace';
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
      const id = requireOperationId(request.params['id']);
      const waitS = preferredWaitS(request);
      const shown = waitS === null ? null : await awaitChange(deps, id, { request, response, waitS });
      sendOperation(shown ?? JSON.stringify(await reader.showOperation(id)), request, response);
    })
    .patch(mayAdjust(deps), ...jsonBody, async (request, response) => {
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
      if (readDryRun(request)) return answerPlan(deps, { kind: 'cancel', operationId }, response);
      const { id: callerId } = authenticator.authenticate(request, 'admin');
      const progress = await deps.client.cancelOperation(operationId, `cancelled over REST by ${callerId}`);
      response.json(viewOfProgress(progress, reader.linkTo(operationId)));
    })
    .all(methodNotAllowed('POST'));

  return router;
}

/**
 * Until it is another one than the caller holds or, when it holds none, another one than now. Null: nothing was seen of it.
 * @throws ApiError, ClientError
 */
async function awaitChange(
  { events }: Pick<ApiDeps, 'events'>,
  operationId: string,
  { request, response, waitS }: { request: Request; response: Response; waitS: number },
): Promise<string | null> {
  const seat = seatIfFree(() => events.joinOperation(operationId));
  if (seat === null) return null;
  const shown = (): ToldEvent | null => seat.lookout.ring.newestOf(OPERATION_TOPIC);
  let held = request.headers['if-none-match'];
  await awaitTold(events, seat, {
    response,
    waitS,
    look: async () => {
      await seat.lookout.look();
      held ??= shown()?.etag;
    },
    isReached: () => !isUnchanged(held, shown()?.etag ?? ''),
  });
  return shown()?.data ?? null;
}

/** The caller may keep it, and must ask before each use. */
function sendOperation(text: string, request: Request, response: Response): void {
  const etag = etagOf(text);
  response.set('ETag', etag).set('Cache-Control', 'no-cache');
  if (isUnchanged(request.headers['if-none-match'], etag)) response.status(304).end();
  else response.type('json').send(text);
}
