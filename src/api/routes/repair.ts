import { randomUUID } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import type { z } from 'zod';
import type { Holder } from '../../domain/findings';
import { normalizeShardUrl } from '../../domain/shard-map';
import { checkBodySchema, repairBodySchema, type StartedOperation } from '../../wire/operations/repair';
import type { RepairRequest } from '../../contract/requests';
import type { ApiDeps } from '../deps';
import { mayChange } from '../http/changes';
import { jsonBody, readAddress, readBody, readDryRun, readIdempotencyKey, readScan } from '../http/requests';
import { methodNotAllowed } from '../http/routing';
import { answerPlan, startOperation } from './operations/start-operation';

/** Operations that look for points which do not lie where the map has them. They answer with the operation's id as soon as it runs. */
export function repairRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const admin = mayChange(deps);

  router
    .route('/cluster/check')
    .post(admin, ...jsonBody, (request, response) => {
      const body = readBody(checkBodySchema, request);
      return start(deps, { kind: 'check', asked: requestOf({ ...body, prefer: [] }) }, { request, response });
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/cluster/repair')
    .post(admin, ...jsonBody, (request, response) => {
      const body = readBody(repairBodySchema, request);
      return start(deps, { kind: 'repair', asked: requestOf(body) }, { request, response });
    })
    .all(methodNotAllowed('POST'));

  return router;
}

async function start(
  deps: ApiDeps,
  { kind, asked }: { kind: 'check' | 'repair'; asked: RepairRequest },
  { request, response }: { request: Request; response: Response },
): Promise<void> {
  const key = readIdempotencyKey(request) ?? randomUUID();
  if (readDryRun(request)) return answerPlan(deps, { kind, request: asked }, response);
  const { operationId } = await startOperation(deps, { kind, key, request: asked }, response);
  response.json({ operation: operationId } satisfies StartedOperation);
}

function requestOf(body: z.infer<typeof repairBodySchema>): RepairRequest {
  return {
    collections: body.collections ?? null,
    leftovers: body.leftovers.map(readAddress),
    prefer: body.prefer.map(readHolder),
    ...readScan(body),
  };
}

/** A shard id as a number or in quotes, or a leftover's URL. @throws DomainError InvalidShardUrl */
function readHolder(named: number | string): Holder {
  const text = String(named).trim();
  return /^\d+$/.test(text) ? text : normalizeShardUrl(text);
}
