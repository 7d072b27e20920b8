import { Router } from 'express';
import { RESTORE_BODY_BYTES_MAX } from '../domain/limits';
import { restoreBodySchema } from '../wire/restore';
import type { ApiDeps } from './app';
import { jsonBodyUpTo, readBody, readIdempotencyKey } from './requests';
import { methodNotAllowed } from './routing';

/** `POST /cluster/restore`: begins a cluster again whose workflow was terminated or is gone. */
export function restoreRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const admin = deps.authenticator.requires('admin');

  router
    .route('/cluster/restore')
    .post(admin, ...jsonBodyUpTo(RESTORE_BODY_BYTES_MAX), async (request, response) => {
      readIdempotencyKey(request);
      const body = readBody(restoreBodySchema, request);
      const { state, source, note } = await deps.restoreCluster(body.state ?? null);
      response.json({ map: state.map, next_id: state.nextId, source, note });
    })
    .all(methodNotAllowed('POST'));

  return router;
}
