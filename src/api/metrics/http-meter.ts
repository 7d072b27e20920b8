/**
 * Counts and times the requests of this API by the template of their route. A path would hold ids, and anybody could make
 * new ones. Polls of the map are hot, so they only raise an integer, which a scrape reads.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Counter, Histogram, type Registry } from 'prom-client';
import { isHeld, routeOf, statusOf } from '../http/request-trail';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const MAP_ROUTE = '/cluster/map';
const NO_ROUTE = 'none';
const STATUS_MAX = 599;
/** A change waits for Temporal, and the start of an operation for its preflight: up to 25 s. */
const BUCKETS_S = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export class HttpMeter {
  private readonly durations: Histogram<'method' | 'route'>;
  private readonly requests: Counter<'method' | 'route' | 'code'>;
  private readonly polls = new Float64Array(STATUS_MAX + 1);
  private readonly told = new Float64Array(STATUS_MAX + 1);

  constructor(registry: Registry) {
    const registers = [registry];
    this.requests = new Counter({
      name: 'coordinator_http_requests_total',
      help: 'Requests by method, template of the route and status; the code is none when the caller went away.',
      labelNames: ['method', 'route', 'code'],
      registers,
      collect: () => this.tellPolls(),
    });
    this.durations = new Histogram({
      name: 'coordinator_http_request_duration_seconds',
      help: 'How long requests took by method and template of the route, without map polls, streams and long polls.',
      labelNames: ['method', 'route'],
      buckets: BUCKETS_S,
      registers,
    });
  }

  /** Of `GET` and `HEAD /cluster/map`, on the way that answers without Express. */
  countPoll(status: number): void {
    this.polls[status] = (this.polls[status] ?? 0) + 1;
  }

  /** Of every other request, before its route runs. */
  time(request: IncomingMessage, response: ServerResponse): void {
    const startedMs = performance.now();
    response.once('close', () => {
      const method = METHODS.find((each) => each === request.method) ?? 'other';
      const route = routeOf(request) ?? NO_ROUTE;
      const status = statusOf(response);
      this.requests.inc({ method, route, code: status === 0 ? 'none' : String(status) });
      if (!isHeld(response)) this.durations.observe({ method, route }, (performance.now() - startedMs) / 1_000);
    });
  }

  private tellPolls(): void {
    for (const [status, count] of this.polls.entries()) {
      const more = count - (this.told[status] ?? 0);
      if (more === 0) continue;
      this.requests.inc({ method: 'GET', route: MAP_ROUTE, code: String(status) }, more);
      this.told[status] = count;
    }
  }
}
