import { Router, type Request, type Response } from 'express';
import { parseOperationId } from '../../contract/ids';
import type { ApiDeps } from '../deps';
import { ApiError } from '../http/problem';
import { methodNotAllowed } from '../http/routing';
import type { Seat } from './hub';
import { EventStream, STREAM_HEADERS } from './stream';

type EventDeps = Pick<ApiDeps, 'authenticator' | 'events'>;

/** Server-sent events of the cluster and of one operation. */
export function eventsRouter(deps: EventDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator, events } = deps;

  router
    .route('/cluster/events')
    .get(authenticator.requires('read'), (request, response) =>
      stream(deps, events.joinCluster(), { request, response }),
    )
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/cluster/operations/:id/events')
    .get(authenticator.requires('read'), (request, response) => {
      const id = request.params['id'];
      if (parseOperationId(id) === null) {
        throw new ApiError('UnknownOperation', 'there is no such operation: GET /cluster/operations lists them');
      }
      return stream(deps, events.joinOperation(id), { request, response });
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  return router;
}

async function stream(
  { authenticator }: Pick<EventDeps, 'authenticator'>,
  { lookout, leave }: Seat,
  { request, response }: { request: Request; response: Response },
): Promise<void> {
  try {
    // What cannot be looked at is a problem with a status, and no stream that says nothing.
    await lookout.look();
  } catch (error) {
    leave();
    throw error;
  }
  const lastId = lastIdOf(request);
  const hasAll = lookout.isOver && lastId !== null && lastId === lookout.ring.lastId;
  if (hasAll || request.method === 'HEAD' || response.destroyed) {
    leave();
    // A browser that is answered with 204 connects no more.
    if (hasAll) response.writeHead(204).end();
    else response.writeHead(200, STREAM_HEADERS).end();
    return;
  }
  let stopListening = (): void => undefined;
  const events = new EventStream(response, {
    confirmKey: () => authenticator.authenticate(request, 'read'),
    onEnd: () => {
      stopListening();
      leave();
    },
  });
  for (const event of lookout.backlog(lastId)) events.take(event);
  if (lookout.isOver) events.end();
  else stopListening = lookout.listen(events);
}

/** Null: the caller gave none, or none of ours. */
function lastIdOf(request: Request): number | null {
  const text = request.headers['last-event-id'];
  return typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : null;
}
