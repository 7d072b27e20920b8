import type { IncomingHttpHeaders } from 'node:http';

/**
 * One request that reached the shard, as its attempt log tells it. `status` is null until, and unless, it was answered.
 */
export interface Attempt {
  readonly method: string;
  /** As it was sent, percent-encoding and all. */
  readonly path: string;
  readonly collection: string | null;
  readonly startedAtMs: number;
  /** Absent when the caller sent none. */
  readonly traceparent?: string;
  status: number | null;
}

export function traceOf(headers: IncomingHttpHeaders): { traceparent?: string } {
  const { traceparent } = headers;
  return typeof traceparent === 'string' ? { traceparent } : {};
}

/** Which requests a fault strikes. What is left out matches all. */
export interface FaultMatch {
  readonly method?: string;
  readonly path?: RegExp;
  readonly collection?: string;
  /** Counted over the requests that match: 1 is the first. Without it every one is struck. */
  readonly nth?: number;
  /** Struck so many times from then on, default once with `nth` and always without. */
  readonly times?: number;
}

/**
 * What goes wrong. Calls over gRPC have the method GRPC and a path as in /quiver.v1.Quiver/Replicate.
 * - `refuse`: the connection is cut before the request is looked at.
 * - `hang`: nothing is done and nothing is answered.
 * - `hangAfter`: the request is carried out and never answered.
 * - `slow`: carried out only after `ms`, and even if the caller has gone meanwhile, as a late write is.
 * - `status`: answered with that status, of HTTP or gRPC, nothing is done.
 * - `replyLost`: carried out, then the connection is cut instead of the answer.
 * - `cutStream`: of Replicate, ended with a gRPC status after so many rows. Without a status the connection is cut.
 * - `cutBody`: carried out, the head and half of the body are sent, then the connection is cut.
 * - `before`: `run` changes the shard before the request is looked at.
 * - `beforeReply`: `run` changes the shard after the answer was made up and before it is sent: between two pages of a
 *   walk.
 */
export type Fault =
  | { readonly kind: 'refuse' | 'hang' | 'hangAfter' | 'replyLost' | 'cutBody' }
  | { readonly kind: 'slow'; readonly ms: number }
  | { readonly kind: 'cutStream'; readonly rows: number; readonly status?: number }
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string }
  | { readonly kind: 'before' | 'beforeReply'; readonly run: (attempt: Attempt) => void | Promise<void> };

/** A fault that was put in, to see whether it struck and to take it out again. */
export interface ActiveFault {
  readonly hits: number;
  /** Resolves when it has struck for the first time. */
  readonly struck: Promise<void>;
  remove(): void;
}

interface Entry {
  readonly match: FaultMatch;
  readonly fault: Fault;
  seen: number;
  hits: number;
  onStruck: () => void;
}

/** The calls of the engine. */
export const READING: FaultMatch = { method: 'GRPC', path: /Replicate$/ };
export const LOOKING: FaultMatch = { method: 'GRPC', path: /GetPoints$/ };
export const WRITING: FaultMatch = { method: 'GRPC', path: /UpsertStream$/ };

export class Faults {
  private entries: Entry[] = [];

  add(spec: { match?: FaultMatch; fault: Fault }): ActiveFault {
    let onStruck = (): void => undefined;
    const struck = new Promise<void>((resolve) => (onStruck = resolve));
    const entry: Entry = { match: spec.match ?? {}, fault: spec.fault, seen: 0, hits: 0, onStruck };
    this.entries.push(entry);
    return {
      get hits() {
        return entry.hits;
      },
      struck,
      remove: () => (this.entries = this.entries.filter((each) => each !== entry)),
    };
  }

  clear(): void {
    this.entries = [];
  }

  /** All faults that strike this request, in the order in which they were added. */
  strike(attempt: Attempt): Fault[] {
    return this.entries.filter((entry) => isStruck(entry, attempt)).map((entry) => entry.fault);
  }
}

function isStruck(entry: Entry, attempt: Attempt): boolean {
  const { method, path, collection, nth, times } = entry.match;
  if (method !== undefined && method !== attempt.method) return false;
  if (path !== undefined && !path.test(attempt.path)) return false;
  if (collection !== undefined && collection !== attempt.collection) return false;
  entry.seen += 1;
  if (entry.seen < (nth ?? 1)) return false;
  if (entry.hits >= (times ?? (nth === undefined ? Infinity : 1))) return false;
  entry.hits += 1;
  entry.onStruck();
  return true;
}
