import { Router } from 'express';
import { methodNotAllowed } from '../http/routing';
import { docsPage, type DocsPage } from './docs-page';
import { openApiDocument, type OpenApiDocument } from './document';

/** `GET /openapi.json` and `GET /docs`: what this API can do, for programs and for people. Both are open, and the same for all. */
export function openApiRouter(): Router {
  const router = Router({ strict: true, caseSensitive: true });
  // Made for the first reader: most processes have none.
  let document: OpenApiDocument | null = null;
  let page: DocsPage | null = null;
  const theDocument = (): OpenApiDocument => (document ??= openApiDocument());
  const thePage = (): DocsPage => (page ??= docsPage(theDocument()));

  router
    .route('/openapi.json')
    .get((_request, response) => void response.set('Cache-Control', 'no-cache').json(theDocument()))
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/docs')
    .get((_request, response) => {
      const { html, policy } = thePage();
      response
        .set({
          'Cache-Control': 'no-cache',
          'Content-Security-Policy': policy,
          'Referrer-Policy': 'no-referrer',
          'X-Content-Type-Options': 'nosniff',
        })
        .type('text/html')
        .send(html);
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  return router;
}
