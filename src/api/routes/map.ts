import type { IncomingMessage, ServerResponse } from 'node:http';
import { Router } from 'express';
import type { ApiDeps } from '../deps';
import { awaitTold, preferredWaitS, seatIfFree } from '../events/long-poll';
import { MAP_TOPIC } from '../events/ring';
import { isUnchanged } from '../http/conditional';
import { ApiError, writeProblem } from '../http/problem';
import { methodNotAllowed } from '../http/routing';
import type { MapReading } from '../map/reader';

const MAP_PATH = '/cluster/map';
/** On an answer that is the last known map: `<age in seconds>; reason=<problem code>`. */
const STALE_HEADER = 'Coordinator-Map-Stale';

/** Sent by those who show the map to a person. */
const NO_ROUTER_HEADER = 'x-coordinator-page';

type MapDeps = Pick<ApiDeps, 'authenticator' | 'mapReader' | 'pollers' | 'logger' | 'events'>;

/** `GET /cluster/map` with a query or a wish, and all methods that it does not have. */
export function mapRouter(deps: MapDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  router
    .route(MAP_PATH)
    .get(async (request, response) => {
      const waitS = preferredWaitS(request);
      if (waitS !== null) await awaitChange(deps, { request, response, waitS });
      await serveMap(deps, request, response);
    })
    .all(methodNotAllowed('GET', 'HEAD'));
  return router;
}

/**
 * The request with which thousands of routers poll. It is hot and Express is not free, so `serveMap` answers it on plain Node requests.
 * One that prefers to wait is none of these.
 */
export function isMapPoll(request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>): boolean {
  const { method, url } = request;
  return url === MAP_PATH && (method === 'GET' || method === 'HEAD') && request.headers['prefer'] === undefined;
}

/** Until the map is another one than the caller holds. Who holds none is answered at once. */
async function awaitChange(
  deps: MapDeps,
  { request, response, waitS }: { request: IncomingMessage; response: ServerResponse; waitS: number },
): Promise<void> {
  deps.authenticator.authenticate(request, 'read');
  const held = request.headers['if-none-match'];
  if (held === undefined) return;
  const seat = seatIfFree(() => deps.events.joinCluster());
  if (seat === null) return;
  const { lookout } = seat;
  await awaitTold(deps.events, seat, {
    response,
    waitS,
    // While Temporal is away the wait goes on: an answer at once would have the caller ask again at once.
    look: () => lookout.look().catch(() => undefined),
    isReached: () => {
      const shown = lookout.ring.newestOf(MAP_TOPIC);
      return shown !== null && !isUnchanged(held, shown.etag);
    },
  });
}

/** Returns a promise only when the map is not known in this turn. It never rejects. */
export function serveMap(deps: MapDeps, request: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
  try {
    const { id } = deps.authenticator.authenticate(request, 'read');
    notePoll(deps, request, id);
  } catch (error) {
    if (error instanceof ApiError) writeProblem(response, error);
    else fail(deps, response, error);
    return undefined;
  }
  const reading = deps.mapReader.readRecentMap();
  // A known map is answered in this very turn: a promise costs as much as the answer.
  if (!(reading instanceof Promise)) {
    writeMap(request, response, reading);
    return undefined;
  }
  return reading.then(
    (read) => writeMap(request, response, read),
    (error: unknown) => fail(deps, response, error),
  );
}

/** The status page and the command line say who they are: they write to no shard. */
function notePoll({ pollers }: Pick<MapDeps, 'pollers'>, { headers, socket }: IncomingMessage, keyId: string): void {
  if (headers[NO_ROUTER_HEADER] !== undefined) return;
  pollers.note(socket.remoteAddress ?? '', keyId, headers['if-none-match']);
}

function fail({ logger }: MapDeps, response: ServerResponse, error: unknown): void {
  logger.error({ err: error }, 'the map route failed for an unforeseen reason');
  response.destroy();
}

function writeMap(request: IncomingMessage, response: ServerResponse, reading: MapReading): void {
  if (reading.kind === 'unknown') {
    writeProblem(response, reading.reason);
    return;
  }
  const { body, bytes, etag } = reading.served;
  // `no-cache`: a router may keep it, and must ask before each use.
  const headers = ['Cache-Control', 'no-cache', 'ETag', etag];
  if (reading.kind === 'stale') {
    headers.push(STALE_HEADER, `${Math.floor(reading.ageMs / 1_000)}; reason=${reading.reason.code}`);
    headers.push('Warning', '110 - "Response is Stale"');
  }
  if (isUnchanged(request.headers['if-none-match'], etag)) {
    response.writeHead(304, headers).end();
    return;
  }
  headers.push('Content-Type', 'application/json', 'Content-Length', String(bytes));
  // Node leaves out the body of an answer to HEAD.
  response.writeHead(200, headers).end(body);
}
