import { Router } from 'express';
import type { ApiDeps } from '../deps';
import { methodNotAllowed } from '../http/routing';
import { clusterHealth } from '../http/shard-probe';
import type { MapReading } from '../map/reader';

/** `GET /healthz`, `/readyz` and `/cluster/health`: does the process run, can it serve the map, do the shards answer? */
export function healthRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });

  router
    .route('/healthz')
    .get((_request, response) => void response.type('text/plain').send('ok'))
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/readyz')
    .get(async (_request, response) => {
      requireServable(await deps.mapReader.readMap());
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

/** An old map may be served while Temporal is away. A cluster whose workflow is lost or closed must not pass for a working one. */
function requireServable(reading: MapReading): void {
  if (reading.kind === 'fresh') return;
  if (reading.kind === 'stale' && reading.reason.code === 'TemporalUnreachable') return;
  throw reading.reason;
}
