import { Router } from 'express';
import { methodNotAllowed } from '../http/routing';
import { docsPage } from '../openapi/docs-page';
import { openApiDocument } from '../openapi/document';

/** `GET /openapi.json` and `GET /docs`: what this API can do, for programs and for people. Both are open, and the same for all. */
export function openApiRouter(): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const document = openApiDocument();
  const page = docsPage(document);

  router
    .route('/openapi.json')
    .get((_request, response) => void response.set('Cache-Control', 'no-cache').json(document))
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/docs')
    .get((_request, response) => {
      response
        .set({
          'Cache-Control': 'no-cache',
          'Content-Security-Policy': page.policy,
          'Referrer-Policy': 'no-referrer',
          'X-Content-Type-Options': 'nosniff',
        })
        .type('text/html')
        .send(page.html);
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  return router;
}
