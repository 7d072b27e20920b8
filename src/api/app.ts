/** The REST API, built from its dependencies. It does not listen, and knows nothing of settings or processes. */
import type { RequestListener } from 'node:http';
import express, { type Express } from 'express';
import type { ApiDeps } from './deps';
import { problemHandler } from './http/problem';
import { unknownRoute } from './http/routing';
import { autoscaleRouter } from './routes/autoscale';
import { healthRouter } from './routes/health';
import { identitiesRouter } from './routes/identities';
import { isMapPoll, mapRouter, serveMap } from './routes/map';
import { noticesRouter } from './routes/notices';
import { operationsRouter } from './routes/operations';
import { repairRouter } from './routes/repair';
import { restoreRouter } from './routes/restore';
import { routersRouter } from './routes/routers';
import { shardsRouter } from './routes/shards';

export function createApi(deps: ApiDeps): RequestListener {
  const app = createExpressApp(deps);
  return (request, response) => {
    deps.lockWatch.glance();
    if (isMapPoll(request)) serveMap(deps, request, response);
    else app(request, response);
  };
}

function createExpressApp(deps: ApiDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('strict routing');
  app.enable('case sensitive routing');

  app.use(healthRouter(deps));
  app.use(mapRouter(deps));
  app.use(shardsRouter(deps));
  app.use(identitiesRouter(deps));
  app.use(operationsRouter(deps));
  app.use(noticesRouter(deps));
  app.use(autoscaleRouter(deps));
  app.use(routersRouter(deps));
  app.use(repairRouter(deps));
  app.use(restoreRouter(deps));
  app.use(unknownRoute);
  app.use(problemHandler(deps.logger));
  return app;
}
