/** The REST API, built from its dependencies. It does not listen, and knows nothing of settings or processes. */
import type { RequestListener } from 'node:http';
import express, { type Express } from 'express';
import type { ApiDeps } from './deps';
import { hooksRouter } from './events/hooks';
import { eventsRouter } from './events/router';
import { problemHandler } from './http/problem';
import { withSpans } from './http/request-span';
import { createTrail } from './http/request-trail';
import { unknownRoute } from './http/routing';
import { metricsRouter } from './metrics/serve';
import { pageRouter } from './page';
import { autoscaleRouter } from './routes/autoscale';
import { doctorRouter } from './routes/doctor';
import { healthRouter } from './routes/health';
import { identitiesRouter } from './routes/identities';
import { isMapPoll, mapRouter, serveMap } from './routes/map';
import { noticesRouter } from './routes/notices';
import { openApiRouter } from './openapi/router';
import { operationsRouter } from './routes/operations/operations';
import { paceRouter } from './routes/operations/pace';
import { repairRouter } from './routes/repair';
import { restoreRouter } from './routes/restore';
import { routersRouter } from './routes/routers';
import { shardsRouter } from './routes/shards';

export function createApi(deps: ApiDeps): RequestListener {
  const app = createExpressApp(deps);
  const { meter } = deps.metrics;
  const leaveTrail = createTrail(deps);
  const answer: RequestListener = (request, response) => {
    leaveTrail(request, response);
    meter.time(request, response);
    app(request, response);
  };
  const answerTraced = deps.tracer === null ? answer : withSpans(deps.tracer, answer);
  return (request, response) => {
    deps.lockWatch.glance();
    if (isMapPoll(request)) {
      // Hot: it gets no id and no span, changes nothing, and raises one integer.
      const served = serveMap(deps, request, response);
      if (served === undefined) meter.countPoll(response.statusCode);
      else void served.then(() => meter.countPoll(response.statusCode));
      return;
    }
    answerTraced(request, response);
  };
}

/** All routes, also those that `createApi` answers ahead of it. */
export function createExpressApp(deps: ApiDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('strict routing');
  app.enable('case sensitive routing');

  app.use(pageRouter(deps));
  app.use(healthRouter(deps));
  app.use(doctorRouter(deps));
  app.use(metricsRouter(deps));
  app.use(mapRouter(deps));
  app.use(shardsRouter(deps));
  app.use(identitiesRouter(deps));
  app.use(paceRouter(deps));
  app.use(operationsRouter(deps));
  app.use(eventsRouter(deps));
  app.use(hooksRouter(deps));
  app.use(noticesRouter(deps));
  app.use(autoscaleRouter(deps));
  app.use(routersRouter(deps));
  app.use(repairRouter(deps));
  app.use(restoreRouter(deps));
  app.use(openApiRouter());
  app.use(unknownRoute);
  app.use(problemHandler(deps.logger));
  return app;
}
