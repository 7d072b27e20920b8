import type { CallContext } from '../../shards/http/call-timer';
import type { Slowed } from '../../domain/slowed';
import type { Job } from '../ports';

/** A job whose calls go to real shards: every read is bounded by it, and a write begins only while it may. */
export interface RemoteJob extends Job {
  readonly reading: CallContext;
  /** Called about once a second with what slows it down; mostly nothing does. Absent: nobody is told. */
  readonly tellSlowed?: (slowed: readonly Slowed[]) => void;
  write<T>(send: (ctx: CallContext) => Promise<T>): Promise<T>;
}
