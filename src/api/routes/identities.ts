import { Router } from 'express';
import type { Identities } from '../../wire/shards';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { jsonBody, readIdempotencyKey } from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { requireReachableCluster } from './operations/start-operation';

/** The marks that say whose the shards are: taken off for Quiver's own coordinator, and put on again. */
export function identitiesRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const admin = mayChange(deps);

  router
    .route('/cluster/identities')
    .delete(admin, async (_request, response) => {
      await requireReachableCluster(deps);
      // First the refusal of operations, and then the marks: no operation may find a half of them.
      const { map, identity } = await deps.client.applyTransition({ type: 'removeIdentities' });
      const { uid } = identity;
      const problems = await Promise.all(
        map.shards.map(async (shard) => ({
          id: shard.id,
          reason: uid === null ? null : await deps.marks.remove(shard, uid),
        })),
      );
      const answer: Identities = {
        removed: true,
        left: problems.flatMap(({ id, reason }) => (reason === null ? [] : [{ id, reason }])),
      };
      response.json(answer);
    })
    .post(admin, ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      await requireReachableCluster(deps);
      await deps.client.applyTransition({ type: 'adoptIdentities' });
      const answer: Identities = { removed: false, left: [] };
      response.json(answer);
    })
    .all(methodNotAllowed('DELETE', 'POST'));

  return router;
}
