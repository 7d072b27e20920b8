import { randomUUID } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import type { ManualChange } from '../../domain/manual-changes';
import { findShard } from '../../domain/shard-map';
import {
  addShardBodySchema,
  drainBodySchema,
  growBodySchema,
  growBySeveralBodySchema,
  replaceAddressBodySchema,
} from '../../wire/coordinator-api';
import type { DrainRequest, GrowRequest } from '../../contract/requests';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import {
  jsonBody,
  readAddress,
  readAddressChange,
  readBody,
  readDryRun,
  readIdempotencyKey,
  readScan,
  readShardId,
} from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { OperationReader } from '../operation-reader';
import { viewOfShards } from '../views/shards';
import { addChecked, requireSameShard } from './address-checks';
import { answerPlan, requireReachableCluster, startOperation } from './operations/start-operation';

/** Every change of the shards that an operator asks for. All answer with the map. */
export function shardsRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const admin = mayChange(deps);
  const reader = new OperationReader(deps);

  router
    .route('/cluster/shards')
    .post(admin, ...jsonBody, async (request, response) => {
      const key = readIdempotencyKey(request);
      const shard = readAddress(readBody(addShardBodySchema, request));
      await addByHand(deps, { change: { change: 'add', shard }, key }, response);
    })
    .get(deps.authenticator.requires('read'), async (_request, response) => {
      const state = await deps.client.queryState();
      const { marks } = deps;
      const view = await viewOfShards(state, {
        grpcUrl: (each) => marks.grpcUrl(each),
        rows: (each) => marks.rows(each),
        sources: () => reader.newestSources(state),
      });
      response.set('Cache-Control', 'no-store').json(view);
    })
    .all(methodNotAllowed('GET', 'HEAD', 'POST'));

  router
    .route('/cluster/shards/joining')
    .post(admin, ...jsonBody, async (request, response) => {
      const key = readIdempotencyKey(request);
      const shard = readAddress(readBody(addShardBodySchema, request));
      await addByHand(deps, { change: { change: 'join', shard }, key }, response);
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
      await requireReachableCluster(deps);
      await requireSameShard(deps, { ...change, key });
      await changeByHand(deps, { change, key }, response);
    })
    .delete(admin, async (request, response) => {
      await removeByHand(deps, readShardId(request), response);
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

async function addByHand(
  deps: ApiDeps,
  { change, key }: { change: Extract<ManualChange, { change: 'add' | 'join' }>; key: string | null },
  response: Response,
): Promise<void> {
  await requireReachableCluster(deps);
  const apply = async () => (await deps.client.applyTransition({ type: 'changeByHand', change, key })).map;
  response.json(await addChecked(deps, change.shard, { key, change: apply }));
}

/** A shard that is out of the map is free for others. One that does not answer keeps its mark, and says whose it was. */
async function removeByHand(deps: ApiDeps, id: number, response: Response): Promise<void> {
  await requireReachableCluster(deps);
  const { map: before } = await deps.client.queryState();
  const { map, identity } = await deps.client.applyTransition({
    type: 'changeByHand',
    change: { change: 'remove', id },
    key: null,
  });
  const removed = findShard(before, id);
  if (removed !== undefined && identity.uid !== null) {
    const reason = await deps.marks.remove(removed, identity.uid);
    if (reason !== null) deps.logger.warn({ shard: id, reason }, 'the removed shard may still bear its mark');
  }
  response.json(map);
}

/** Answers as soon as the shards are joining, or with the refusal. The move runs on. */
async function grow(deps: ApiDeps, request: Request, response: Response): Promise<void> {
  const key = readIdempotencyKey(request) ?? randomUUID();
  const asked = { kind: 'grow', request: readGrow(request) } as const;
  if (readDryRun(request)) return answerPlan(deps, asked, response);
  const { map } = await startOperation(deps, { ...asked, key }, response);
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
  const asked = { kind: 'drain', request: drainRequest } as const;
  if (readDryRun(request)) return answerPlan(deps, asked, response);
  const { map } = await startOperation(deps, { ...asked, key }, response);
  response.json(map);
}
