import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Router } from 'express';
import type { Logger } from 'pino';
import type { Authenticator } from '../http/auth';
import { ApiError, asApiError, writeProblem } from '../http/problem';
import { methodNotAllowed } from '../http/routing';
import type { MetricsPage } from './page';

const PATH = '/metrics';

export interface ServeMetricsDeps {
  readonly metrics: MetricsPage;
  readonly authenticator: Pick<Authenticator, 'authenticate'>;
  readonly logger: Logger;
}

/** `GET /metrics` of the API. */
export function metricsRouter(deps: ServeMetricsDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  router
    .route(PATH)
    .get((request, response) => answer(deps, request, response))
    .all(methodNotAllowed('GET', 'HEAD'));
  return router;
}

/** A listener with this page alone, for a process without an API or for a port of its own. */
export function metricsListener(deps: ServeMetricsDeps): RequestListener {
  return (request, response) => {
    answerAlone(deps, request, response).catch((error: unknown) => {
      const known = asApiError(error);
      if (known === null) deps.logger.error({ err: error }, 'the page of metrics failed for an unforeseen reason');
      if (response.headersSent) response.destroy();
      else writeProblem(response, known ?? new ApiError('Internal', 'the page of metrics failed: see the log'));
    });
  };
}

async function answerAlone(deps: ServeMetricsDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path] = (request.url ?? '').split('?', 1);
  if (path !== PATH) throw new ApiError('UnknownRoute', `this address has only ${PATH}`);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new ApiError('MethodNotAllowed', 'only GET and HEAD are possible here', { headers: { Allow: 'GET, HEAD' } });
  }
  await answer(deps, request, response);
}

/** @throws ApiError Unauthenticated, Forbidden, TooManyFailedKeys */
async function answer(
  { metrics, authenticator }: ServeMetricsDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!metrics.isOpen) authenticator.authenticate(request, 'read');
  const body = Buffer.from(await metrics.render());
  response.writeHead(200, {
    'Content-Type': metrics.contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  });
  // Node leaves out the body of an answer to HEAD.
  response.end(body);
}
