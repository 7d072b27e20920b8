import { Router } from 'express';
import { normalizeHookUrl, type Hook, type NewHook } from '../../domain/hooks';
import { hooksBodySchema, type HookList, type HooksBody } from '../../wire/hooks';
import type { ApiDeps } from '../deps';
import { mayAdjust } from '../http/changes';
import { ApiError } from '../http/problem';
import { jsonBody, readBody } from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { isoOf } from '../views/times';

/** Webhooks: list, replace, remove. Secrets go in, and never out again. */
export function hooksRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator, hooks, requireAllowed } = deps;

  router
    .route('/cluster/hooks')
    .get(authenticator.requires('admin'), async (_request, response) => {
      response.set('Cache-Control', 'no-store').json(viewOfHooks(await hooks.client.read()));
    })
    .put(mayAdjust(deps), ...jsonBody, async (request, response) => {
      const given = readBody(hooksBodySchema, request).hooks.map((hook) => readHook(hook, deps));
      await requireAllowed(given.map(({ url }) => url));
      response.json(viewOfHooks(await hooks.client.replace(given)));
    })
    .delete(mayAdjust(deps), async (_request, response) => {
      response.json(viewOfHooks(await hooks.client.replace([])));
    })
    .all(methodNotAllowed('GET', 'HEAD', 'PUT', 'DELETE'));

  return router;
}

function readHook(
  { url: text, events, secret }: HooksBody['hooks'][number],
  { hooks }: Pick<ApiDeps, 'hooks'>,
): NewHook {
  const url = normalizeHookUrl(text);
  if (secret === undefined) return { url, events };
  if (secret === null) return { url, events, sealed: null };
  if (hooks.seal !== null) return { url, events, sealed: hooks.seal.seal(secret, url) };
  throw new ApiError(
    'HooksKeyMissing',
    'expected COORDINATOR_HOOKS_KEY, which seals the secrets of hooks, got none: set it in all APIs and workers, or give no secret',
  );
}

function viewOfHooks(hooks: readonly Hook[]): HookList {
  return {
    hooks: hooks.map(({ url, events, sealed, problem }) => ({
      url,
      events: [...events],
      signed: sealed !== null,
      problem: problem && { reason: problem.reason, since: isoOf(problem.sinceMs) },
    })),
  };
}
