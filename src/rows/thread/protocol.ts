import type { Slowed } from '../../domain/slowed';
import type { JobProgress } from '../ports';
import type { TraceContext } from '../../domain/trace';
import type { KeySource } from '../../shards/reach/shard-keys';
import type { EngineOptions } from './engine';
import type { JobRequest } from '../remote/run-job';
import type { ThreadFailure } from './errors';

/** Plain data, which can be given to a thread. */
export type ThreadOptions = EngineOptions & { readonly key: string | null | KeySource };

/** What the thread is started with. */
export type ThreadData = ThreadOptions & {
  /** See steady-clock.ts: deadlines of the worker hold in its thread. */
  readonly steadyBase: number;
};

export type ToThread =
  | {
      readonly kind: 'run';
      readonly id: number;
      readonly request: JobRequest;
      readonly deadlineMs: number;
      /** What the job may do by now (lease.ts). The worker writes it again and again while the attempt lives. */
      readonly lease: SharedArrayBuffer;
      /** What the job is a part of; null without tracing. */
      readonly trace: TraceContext | null;
    }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'watched'; readonly id: number; readonly untilMs: number | null }
  | { readonly kind: 'endSession'; readonly id: number; readonly session: string }
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'progress'; readonly id: number; readonly progress: JobProgress }
  | { readonly kind: 'slowed'; readonly id: number; readonly slowed: readonly Slowed[] }
  /** Sent before the first write, so that nobody takes an attempt that wrote for one that did not. */
  | { readonly kind: 'writes'; readonly id: number; readonly lateWritesUntilMs: number }
  /** Asks whether every router was watched until now: `watched` answers. */
  | { readonly kind: 'renewWatch'; readonly id: number }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: ThreadFailure };
