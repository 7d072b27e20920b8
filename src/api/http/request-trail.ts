/** What a request leaves behind: an id in its answer and in the log, and one line of the log when it may change something. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { parseOperationId } from '../../contract/ids';
import { traceFields } from '../../tracing/current';
import type { Authenticator } from './auth';

export const REQUEST_ID_HEADER = 'X-Request-Id';
/** An id that a caller may choose: it goes into the log as it is. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** These change nothing. */
const READS = ['GET', 'HEAD', 'OPTIONS'];
const OPERATION_PATH = /^\/cluster\/operations\/([^/?#]+)/;
/** A caller that closes its connection gets no status. */
const NO_STATUS = 0;

interface Routed {
  readonly route?: { readonly path?: unknown };
}

/** The template of the route that answers, as in `/cluster/shards/{id}`; null when there is none. Known when the request is answered. */
export function routeOf(request: IncomingMessage): string | null {
  const path = (request as Routed).route?.path;
  return typeof path === 'string' ? path.replace(/:(\w+)/g, '{$1}') : null;
}

/** Answers that last as long as their caller listens or waits: how long says nothing about this process. */
const held = new WeakSet<ServerResponse>();

export const noteHeld = (response: ServerResponse): void => void held.add(response);
export const isHeld = (response: ServerResponse): boolean => held.has(response);

/** The status that the caller got; 0 when it went away before. */
export function statusOf({ headersSent, statusCode }: ServerResponse): number {
  return headersSent ? statusCode : NO_STATUS;
}

/** Runs `then` once, when the answer was sent or its connection broke. */
export function onceOver({ socket }: IncomingMessage, response: ServerResponse, then: () => void): void {
  let isOver = false;
  // An answer that waits behind another one never closes when its connection breaks.
  const end = (): void => {
    response.off('close', end);
    socket.off('close', end);
    if (!isOver) then();
    isOver = true;
  };
  response.once('close', end);
  socket.once('close', end);
  if (socket.destroyed) end();
}

export type LeaveTrail = (request: IncomingMessage, response: ServerResponse) => void;

/** Runs before the routes. */
export function createTrail(deps: {
  readonly logger: Logger;
  readonly authenticator: Pick<Authenticator, 'callerOf'>;
  readonly nowMs?: () => number;
}): LeaveTrail {
  const { logger, authenticator, nowMs = () => performance.now() } = deps;
  // An operator who wants few lines still wants to know who changed the cluster.
  const audit = logger.child({}, logger.level === 'silent' ? {} : { level: 'info' });
  return (request, response) => {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    response.setHeader(REQUEST_ID_HEADER, requestId);
    if (READS.includes(request.method ?? '')) return;
    const startedMs = nowMs();
    // Routers take parts off the URL while they run.
    const { url = '' } = request;
    // The connection tells of the end, and belongs to no trace.
    const trace = traceFields();
    onceOver(request, response, () => {
      audit.info(
        {
          audit: true,
          who: authenticator.callerOf(request)?.id ?? null,
          method: request.method,
          route: routeOf(request),
          operationId: operationIn(url, response),
          status: statusOf(response),
          requestId,
          durationMs: Math.round(nowMs() - startedMs),
          ...trace,
        },
        'change asked for',
      );
    });
  };
}

/** The operation that was started, or that the path names. */
export function operationIn(url: string, response: ServerResponse): string | null {
  const location = response.getHeader('Location');
  const id = OPERATION_PATH.exec(typeof location === 'string' ? location : url)?.[1];
  return id !== undefined && parseOperationId(id) !== null ? id : null;
}
