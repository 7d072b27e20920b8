/** The status page at `/`, its files, and its session. All that it shows comes from the REST routes that everybody has. */
import { Router, urlencoded, type Request, type RequestHandler } from 'express';
import type { ApiDeps } from '../deps';
import { requirePageHeader } from '../http/auth';
import { clearedCookie, sessionCookie } from '../http/page-session';
import { ApiError } from '../http/problem';
import { methodNotAllowed } from '../http/routing';
import { StaticFiles } from './static-files';

/** A login has one field. */
const LOGIN_BYTES_MAX = 4_096;

type PageDeps = Pick<ApiDeps, 'authenticator' | 'cluster'>;

export function pageRouter({ authenticator, cluster }: PageDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const files = new StaticFiles();

  router
    .route('/')
    .get((request, response) => void files.answer('index.html', request, response))
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/login')
    .post(...loginBody, (request, response) => {
      const token = authenticator.logIn(readKey(request), request);
      if (token !== null) response.set('Set-Cookie', sessionCookie(token, isOverTls(request)));
      response.set('Cache-Control', 'no-store').status(204).end();
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/logout')
    .post(fromPage, (request, response) => {
      authenticator.logOut(request);
      response.set('Set-Cookie', clearedCookie(isOverTls(request)));
      response.set('Cache-Control', 'no-store').status(204).end();
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/page/session')
    .get((request, response) => {
      const { id, role, endsAtMs } = authenticator.showSession(request);
      response.set('Cache-Control', 'no-store').json({
        cluster,
        key_id: id,
        role,
        is_open: authenticator.isOpen,
        ends_at: endsAtMs === null ? null : new Date(endsAtMs).toISOString(),
      });
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/page/:file')
    .get((request, response, next) => {
      if (!files.answer(request.params['file'], request, response)) next('router');
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  return router;
}

const fromPage: RequestHandler = (request, _response, next) => {
  requirePageHeader(request);
  next();
};

const loginBody: readonly RequestHandler[] = [
  fromPage,
  (request, _response, next) => {
    if (/^application\/x-www-form-urlencoded *(?:;|$)/i.test(request.headers['content-type'] ?? '')) next();
    else
      throw new ApiError(
        'UnsupportedMediaType',
        'a login is a form: send Content-Type: application/x-www-form-urlencoded',
      );
  },
  urlencoded({ limit: LOGIN_BYTES_MAX, extended: false, inflate: false, parameterLimit: 8 }),
];

/** @throws ApiError MalformedBody */
function readKey(request: Request): string {
  const key = (request.body as { key?: unknown } | undefined)?.key;
  if (typeof key === 'string' && key !== '') return key;
  throw new ApiError('MalformedBody', 'the form must have one field key with the key, this one has not');
}

/** What the browser speaks: the proxy in front says so, or the browser itself with its Origin. */
function isOverTls({ headers }: Request): boolean {
  const forwarded = String(headers['x-forwarded-proto'] ?? '')
    .split(',')[0]
    ?.trim();
  return forwarded === 'https' || headers.origin?.startsWith('https://') === true;
}
