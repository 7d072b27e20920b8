/** The REST API, built from what it needs. It does not listen and knows nothing of settings or processes. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express, { type Express } from 'express';
import { autoscaleRouter } from './routes/autoscale';
import type { ApiDeps } from './deps';
import { clusterHealth } from './routes/health';
import type { MapReading } from './map/reader';
import { answerMap, MAP_PATH } from './routes/map';
import { operationsRouter } from './routes/operations';
import { problemHandler } from './http/problem';
import { repairRouter } from './routes/repair';
import { restoreRouter } from './routes/restore';
import { methodNotAllowed, unknownRoute } from './http/routing';
import { shardsRouter } from './routes/shards';

export function createApi(deps: ApiDeps): RequestListener {
  const app = createExpressApp(deps);
  return (request, response) => {
    deps.lockWatch.glance();
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (isRead && request.url === MAP_PATH) serveMap(deps, request, response);
    else app(request, response);
  };
}

function serveMap(deps: ApiDeps, request: IncomingMessage, response: ServerResponse): void {
  answerMap(deps, request, response).catch((error: unknown) => {
    deps.logger.error({ err: error }, 'the map route failed for an unforeseen reason');
    response.destroy();
  });
}

function createExpressApp(deps: ApiDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('strict routing');
  app.enable('case sensitive routing');
  const reader = deps.authenticator.requires('read');

  app
    .route('/healthz')
    .get((_request, response) => void response.type('text/plain').send('ok'))
    .all(methodNotAllowed('GET', 'HEAD'));
  app
    .route('/readyz')
    .get(async (_request, response) => {
      requireServable(await deps.mapReader.readMap());
      response.type('text/plain').send('ok');
    })
    .all(methodNotAllowed('GET', 'HEAD'));
  app
    .route(MAP_PATH)
    .get((request, response) => serveMap(deps, request, response))
    .all(methodNotAllowed('GET', 'HEAD'));
  app
    .route('/cluster/health')
    .get(reader, async (_request, response) => {
      const reading = await deps.mapReader.readMap();
      if (reading.kind === 'unknown') throw reading.reason;
      response.json(await clusterHealth(reading.served.map, deps.probeShard));
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  app.use(shardsRouter(deps));
  app.use(operationsRouter(deps));
  app.use(autoscaleRouter(deps));
  app.use(repairRouter(deps));
  app.use(restoreRouter(deps));
  app.use(unknownRoute);
  app.use(problemHandler(deps.logger));
  return app;
}

/** An old map may be served while Temporal is away. One whose workflow is lost or closed may not pass for a working cluster. */
function requireServable(reading: MapReading): void {
  if (reading.kind === 'fresh') return;
  if (reading.kind === 'stale' && reading.reason.code === 'TemporalUnreachable') return;
  throw reading.reason;
}
