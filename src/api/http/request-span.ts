/** One span for each request, in the trace of its caller when it named one. What its routes ask for goes along in that trace. */
import type { RequestListener } from 'node:http';
import { readTrace } from '../../domain/trace';
import { inTrace } from '../../tracing/current';
import type { Tracer } from '../../tracing/tracer';
import { onceOver, operationIn, REQUEST_ID_HEADER, routeOf, statusOf } from './request-trail';

/** Asked every few seconds by what keeps a process running or reads its metrics. */
const PROBES = ['/healthz', '/readyz', '/metrics'];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const SERVER_ERROR = 500;

export function withSpans(tracer: Tracer, answer: RequestListener): RequestListener {
  return (request, response) => {
    const { url = '', headers } = request;
    if (PROBES.includes(url.split('?', 1)[0] ?? '')) {
      answer(request, response);
      return;
    }
    const method = METHODS.find((each) => each === request.method) ?? '_OTHER';
    const span = tracer.begin({
      name: method,
      kind: 'server',
      parent: readTrace(headers['traceparent'], headers['tracestate']),
      attributes: { 'http.request.method': method },
    });
    onceOver(request, response, () => {
      const route = routeOf(request);
      const status = statusOf(response);
      const operationId = operationIn(url, response);
      const requestId = response.getHeader(REQUEST_ID_HEADER);
      span.end({
        ...(route === null ? {} : { name: `${method} ${route}` }),
        attributes: {
          ...(route === null ? {} : { 'http.route': route }),
          ...(status === 0 ? {} : { 'http.response.status_code': status }),
          ...(operationId === null ? {} : { 'coordinator.operation.id': operationId }),
          ...(typeof requestId === 'string' ? { 'coordinator.request.id': requestId } : {}),
        },
        failure: status >= SERVER_ERROR ? String(status) : null,
      });
    });
    inTrace(span.trace, () => answer(request, response));
  };
}
