import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticator } from '../http/auth';
import type { MapReader, MapReading } from '../map/reader';
import { ApiError, writeProblem } from '../http/problem';

export const MAP_PATH = '/cluster/map';
/** On an answer that is the last known map: `<age in seconds>; reason=<problem code>`. */
export const STALE_HEADER = 'Coordinator-Map-Stale';

/** `GET /cluster/map` for thousands of routers: on plain Node requests, because this path is hot and Express is not free. */
export async function answerMap(
  deps: { authenticator: Authenticator; mapReader: MapReader },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    deps.authenticator.authenticate(request, 'read');
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    writeProblem(response, error);
    return;
  }
  writeMap(request, response, await deps.mapReader.readMap());
}

function writeMap(request: IncomingMessage, response: ServerResponse, reading: MapReading): void {
  if (reading.kind === 'unknown') {
    writeProblem(response, reading.reason);
    return;
  }
  const { body, etag } = reading.served;
  // `no-cache`: may be kept, must be asked about before each use.
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('ETag', etag);
  if (reading.kind === 'stale') {
    response.setHeader(STALE_HEADER, `${Math.floor(reading.ageMs / 1_000)}; reason=${reading.reason.code}`);
    response.setHeader('Warning', '110 - "Response is Stale"');
  }
  if (isUnchanged(request.headers['if-none-match'], etag)) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  // Node leaves the body of an answer to HEAD out by itself.
  response.end(body);
}

function isUnchanged(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((each) => {
    const tag = each.trim();
    return tag === '*' || tag === etag || tag === `W/${etag}`;
  });
}
