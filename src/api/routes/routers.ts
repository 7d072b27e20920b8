import { Router } from 'express';
import { normalizeRouterEntry, readRouterEntry } from '../../domain/router-entries';
import { REMOVAL_RISK } from '../../domain/router-list';
import { patchRoutersBodySchema, putRoutersBodySchema } from '../../wire/routers';
import type { ApiDeps } from '../deps';
import { mayAdjust } from '../http/changes';
import { jsonBody, readBody, readIdempotencyKey } from '../http/requests';
import { methodNotAllowed } from '../http/routing';

/** The routers that operations ask and watch, which map each of them holds, and who else polls. */
export function routersRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator, client, routers } = deps;
  const admin = mayAdjust(deps);

  router
    .route('/cluster/routers')
    .get(authenticator.requires('read'), async (_request, response) => {
      response.set('Cache-Control', 'no-store').json(await routers.sharedView());
    })
    .put(admin, ...jsonBody, async (request, response) => {
      const entries = readBody(putRoutersBodySchema, request).entries.map(normalizeRouterEntry);
      await requireAllowedEntries(deps, entries);
      const before = await routers.entries();
      await client.applyTransition({ type: 'setRouters', entries });
      const isRemoval = before.some((entry) => !entries.includes(entry));
      response.json(await routers.view(isRemoval ? REMOVAL_RISK : null));
    })
    .patch(admin, ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const body = readBody(patchRoutersBodySchema, request);
      const add = body.add.map(normalizeRouterEntry);
      const remove = body.remove.map(normalizeRouterEntry);
      await requireAllowedEntries(deps, add);
      await client.applyTransition({ type: 'changeRouters', add, remove, seed: routers.seed });
      response.json(await routers.view(remove.length > 0 ? REMOVAL_RISK : null));
    })
    .all(methodNotAllowed('GET', 'HEAD', 'PUT', 'PATCH'));

  return router;
}

/** The targets of SRV records are judged when they are known: at each connection. @throws DomainError AddressNotAllowed */
async function requireAllowedEntries(deps: ApiDeps, entries: readonly string[]): Promise<void> {
  const urls = entries.flatMap((entry) => {
    const read = readRouterEntry(entry);
    if (read.kind === 'dnssrv') return [];
    return [read.kind === 'url' ? read.url : `http://${read.host}:${read.port}`];
  });
  await deps.requireAllowed(urls);
}
