import type { CallContext } from '../../shards/http/call-timer';
import type { Job } from '../ports';

/** A job whose calls go to real shards: every read is bounded by it, and a write begins only while it may. */
export interface RemoteJob extends Job {
  readonly reading: CallContext;
  write<T>(send: (ctx: CallContext) => Promise<T>): Promise<T>;
}
