import { Router } from 'express';
import type { NoticeList } from '../../wire/coordinator-api';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { methodNotAllowed } from '../http/routing';
import { viewOfNotices } from '../views/notices';

/** What an operator must notice. A notice goes by itself when a later check finds everything in place. */
export function noticesRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator, client } = deps;

  router
    .route('/cluster/notices')
    .get(authenticator.requires('read'), async (_request, response) => {
      response.set('Cache-Control', 'no-store').json(await listNotices(client));
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/cluster/notices/:key')
    .delete(mayChange(deps), async (request, response) => {
      await client.applyTransition({ type: 'clearNotice', key: request.params.key });
      response.json(await listNotices(client));
    })
    .all(methodNotAllowed('DELETE'));

  return router;
}

async function listNotices(client: ApiDeps['client']): Promise<NoticeList> {
  const { notices } = await client.queryState();
  return viewOfNotices(notices);
}
