import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Router, type Request, type Response } from 'express';
import type { ManualChange } from '../domain/cluster-state';
import { addShardBodySchema, growBodySchema } from '../wire/coordinator-api';
import { growOperationId, type GrowRequest } from '../workflows/messages';
import type { ApiDeps } from './app';
import { ApiError } from './problem';
import { jsonBody, readAddress, readBody, readIdempotencyKey, readShardId } from './requests';
import { methodNotAllowed } from './routing';

/** Every change of the cluster that an operator asks for. All of them answer with the map. */
export function shardsRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const admin = deps.authenticator.requires('admin');

  router
    .route('/cluster/shards')
    .post(admin, ...jsonBody, async (request, response) => {
      const key = readIdempotencyKey(request);
      const shard = readAddress(readBody(addShardBodySchema, request));
      await changeByHand(deps, { change: { change: 'add', shard }, key }, response);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/shards/joining')
    .post(admin, ...jsonBody, async (request, response) => {
      const key = readIdempotencyKey(request);
      const shard = readAddress(readBody(addShardBodySchema, request));
      await changeByHand(deps, { change: { change: 'join', shard }, key }, response);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/shards/grow')
    .post(admin, ...jsonBody, (request, response) => grow(deps, request, response))
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/shards/:id/promote')
    .post(admin, ...jsonBody, async (request, response) => {
      const key = readIdempotencyKey(request);
      await changeByHand(deps, { change: { change: 'promote', id: readShardId(request) }, key }, response);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/shards/:id')
    .delete(admin, async (request, response) => {
      await changeByHand(deps, { change: { change: 'remove', id: readShardId(request) }, key: null }, response);
    })
    .all(methodNotAllowed('DELETE'));

  return router;
}

async function changeByHand(
  deps: ApiDeps,
  change: { change: ManualChange; key: string | null },
  response: Response,
): Promise<void> {
  const { map } = await deps.gateway.applyTransition({ type: 'changeByHand', ...change });
  response.json(map);
}

/** Answers as soon as the shard is joining, or with the refusal. The move runs on. */
async function grow(deps: ApiDeps, request: Request, response: Response): Promise<void> {
  const key = readIdempotencyKey(request) ?? randomUUID();
  const body = readBody(growBodySchema, request);
  const wanted: GrowRequest = { shards: [readAddress(body)], allowNonempty: body.allow_nonempty };
  await requireReachableCluster(deps);
  const { map, request: answered } = await deps.gateway.startGrow({
    cluster: deps.cluster,
    key,
    request: wanted,
    routerUrls: deps.routerUrls,
    timings: deps.timings,
    searchAttributes: deps.searchAttributes,
  });
  if (!isDeepStrictEqual(answered, wanted)) {
    throw new ApiError(
      'IdempotencyKeyReused',
      `this Idempotency-Key belongs to operation ${growOperationId(key)}, which was asked for something else: take a fresh one`,
    );
  }
  response.set('Location', `/cluster/operations/${growOperationId(key)}`);
  response.json(map);
}

/** Without a cluster that answers, a grow could only wait unseen: refuse it before anything is started. */
async function requireReachableCluster(deps: ApiDeps): Promise<void> {
  const reading = await deps.mapReader.read();
  if (reading.kind !== 'fresh') throw reading.reason;
}
