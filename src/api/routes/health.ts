import { Router } from 'express';
import type { ApiDeps } from '../deps';
import { ApiError } from '../http/problem';
import { methodNotAllowed } from '../http/routing';
import { clusterHealth } from '../http/shard-probe';
import type { MapReading } from '../map/reader';

const COUNT_INTERVAL_MS = 10_000;

/** `GET /healthz`, `/readyz` and `/cluster/health`: does the process run, can it serve the map, do the shards answer? */
export function healthRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const countNotices = noticeCounter(deps);

  router
    .route('/healthz')
    .get((_request, response) => void response.type('text/plain').send('ok'))
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/readyz')
    .get(async (_request, response) => {
      const reading = await deps.mapReader.readMap();
      if (reading.kind !== 'fresh') await requireNoFailingTask(deps);
      requireServable(reading);
      const notices = countNotices();
      if (notices !== null) response.set('Coordinator-Notices', String(notices));
      response.type('text/plain').send('ok');
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/cluster/health')
    .get(deps.authenticator.requires('read'), async (_request, response) => {
      const reading = await deps.mapReader.readMap();
      if (reading.kind === 'unknown') throw reading.reason;
      response.json(await clusterHealth(reading.served.map, deps.probeShard));
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  return router;
}

/**
 * As of an earlier probe: no probe waits for the whole state, and none asks for it each time. Null when it is not known.
 */
function noticeCounter({ client }: Pick<ApiDeps, 'client'>): () => number | null {
  let count: number | null = null;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (Date.now() - askedAtMs >= COUNT_INTERVAL_MS) {
      askedAtMs = Date.now();
      void client.queryState().then(
        ({ notices }) => (count = notices.length),
        () => (count = null),
      );
    }
    return count;
  };
}

/**
 * A map that could not be read anew may be one whose workflow makes no step any more. That is no matter of waiting, so the
 * process is not ready, and a rolling upgrade stops.
 */
async function requireNoFailingTask({ client, logger }: Pick<ApiDeps, 'client' | 'logger'>): Promise<void> {
  const failing = await client.clusterFailingTask().catch(() => null);
  if (failing === null) return;
  const { workflowId, failures, reason, endsWhen } = failing;
  logger.error({ workflowId, failures }, reason);
  throw new ApiError('WorkflowTaskFails', `${reason}; it ends when ${endsWhen}`);
}

/** An old map may be served while Temporal is away. A cluster whose workflow is lost or closed must not pass for a working one. */
function requireServable(reading: MapReading): void {
  if (reading.kind === 'fresh') return;
  if (reading.kind === 'stale' && reading.reason.code === 'TemporalUnreachable') return;
  throw reading.reason;
}
