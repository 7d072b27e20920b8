import { randomUUID } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import type { ManualChange } from '../../domain/manual-changes';
import {
  addShardBodySchema,
  drainBodySchema,
  growBodySchema,
  growBySeveralBodySchema,
  replaceAddressBodySchema,
} from '../../wire/coordinator-api';
import type { DrainRequest, GrowRequest } from '../../contract/requests';
import type { ApiDeps } from '../deps';
import { jsonBody, readAddress, readAddressChange, readBody, readIdempotencyKey, readScan, readShardId } from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { requireReachableCluster, startOperation } from './start-operation';

/** Every change of the shards that an operator asks for. All answer with the map. */
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
    .route('/cluster/shards/:id/drain')
    .post(admin, ...jsonBody, (request, response) => drain(deps, request, response))
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/shards/:id')
    .patch(admin, ...jsonBody, async (request, response) => {
      const key = readIdempotencyKey(request);
      const address = readAddressChange(readBody(replaceAddressBodySchema, request));
      const change = { change: 'replaceAddress', id: readShardId(request), address } as const;
      await changeByHand(deps, { change, key }, response);
    })
    .delete(admin, async (request, response) => {
      await changeByHand(deps, { change: { change: 'remove', id: readShardId(request) }, key: null }, response);
    })
    .all(methodNotAllowed('PATCH', 'DELETE'));

  return router;
}

async function changeByHand(
  deps: ApiDeps,
  change: { change: ManualChange; key: string | null },
  response: Response,
): Promise<void> {
  await requireReachableCluster(deps);
  const { map } = await deps.client.applyTransition({ type: 'changeByHand', ...change });
  response.json(map);
}

/** Answers as soon as the shards are joining, or with the refusal. The move runs on. */
async function grow(deps: ApiDeps, request: Request, response: Response): Promise<void> {
  const key = readIdempotencyKey(request) ?? randomUUID();
  const { map } = await startOperation(deps, { kind: 'grow', key, request: readGrow(request) }, response);
  response.json(map);
}

/** One shard, or several where the body has `shards`. */
function readGrow(request: Request): GrowRequest {
  const given: unknown = request.body;
  if (typeof given !== 'object' || given === null || !('shards' in given)) {
    const body = readBody(growBodySchema, request);
    return { shards: [readAddress(body)], allowNonempty: body.allow_nonempty, ...readScan(body) };
  }
  const body = readBody(growBySeveralBodySchema, request);
  return { shards: body.shards.map(readAddress), allowNonempty: body.allow_nonempty, ...readScan(body) };
}

/** Answers as soon as the shard is leaving, or with the refusal. The move runs on. */
async function drain(deps: ApiDeps, request: Request, response: Response): Promise<void> {
  const key = readIdempotencyKey(request) ?? randomUUID();
  const drainRequest: DrainRequest = { shardId: readShardId(request), ...readScan(readBody(drainBodySchema, request)) };
  const { map } = await startOperation(deps, { kind: 'drain', key, request: drainRequest }, response);
  response.json(map);
}
