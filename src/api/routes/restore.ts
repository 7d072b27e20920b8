import { Router } from 'express';
import { RESTORE_BODY_BYTES_MAX } from '../../domain/limits';
import { restoreBodySchema } from '../../wire/restore';
import { normalizeMap } from '../../domain/shard-map';
import { requireAllowed } from './address-checks';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { jsonBodyUpTo, readBody, readIdempotencyKey } from '../http/requests';
import { methodNotAllowed } from '../http/routing';

/** `POST /cluster/restore`: begins a cluster again when its workflow was terminated or is gone. */
export function restoreRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const admin = mayChange(deps);

  router
    .route('/cluster/restore')
    .post(admin, ...jsonBodyUpTo(RESTORE_BODY_BYTES_MAX), async (request, response) => {
      readIdempotencyKey(request);
      const body = readBody(restoreBodySchema, request);
      if (body.state !== undefined) await requireAllowed(deps, normalizeMap(body.state.map).shards);
      const { state, source, note } = await deps.restoreCluster(body.state ?? null);
      // A state without a policy is seeded by the first reader of the policy.
      deps.autoscale.readState().catch((error: unknown) => {
        deps.logger.warn({ err: error }, 'the autoscale policy of the restored cluster could not be read yet');
      });
      response.json({ map: state.map, next_id: state.nextId, source, note });
    })
    .all(methodNotAllowed('POST'));

  return router;
}
