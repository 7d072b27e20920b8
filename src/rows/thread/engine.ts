import type { Key, KeySource } from '../../shards/reach/shard-keys';
import type { ReachOptions } from '../../shards/reach/reach';
import { Sessions } from '../sessions';
import { RemoteClients } from '../remote/clients';
import { PrimingTurns } from '../remote/index-priming';
import type { RemoteJob } from '../remote/remote-job';
import { HeldRows } from '../owner-writer';
import { runJob, type JobDone, type JobName, type JobRequest } from '../remote/run-job';

export interface EngineOptions {
  readonly key: Key | KeySource;
  readonly grpcPortOffset: number;
  readonly spoolFolder: string;
  /** Which addresses may be called; without it, those of OPEN_REACH. */
  readonly reach?: ReachOptions | undefined;
}

/** A job, and what the engine must know and tell of the attempt that it runs for. */
export interface EngineJob extends RemoteJob {
  /** It may begin to write until then; it grows while the attempt lives. */
  readonly mayWriteUntilMs: () => number;
  /** Something was written; until then a request of it may still reach a shard, 0 when none can. */
  noteWrites(lateWritesUntilMs: number): void;
}

/** Runs the jobs of a worker, and keeps what they leave for one another. */
export interface Engine {
  run<Name extends JobName>(job: EngineJob, request: JobRequest<Name>): Promise<JobDone<Name>>;
  endSession(session: string): Promise<void>;
  close(): Promise<void>;
}

/** In the same thread: for tests, and inside the thread of ThreadEngine. */
export class InlineEngine implements Engine {
  readonly #clients: RemoteClients;
  readonly #sessions = new Sessions();
  readonly #held = new HeldRows();
  readonly #primingTurns = new PrimingTurns();
  readonly #spoolFolder: string;

  constructor(options: EngineOptions) {
    this.#clients = new RemoteClients(options);
    this.#spoolFolder = options.spoolFolder;
  }

  run<Name extends JobName>(job: RemoteJob, request: JobRequest<Name>): Promise<JobDone<Name>> {
    return runJob(job, request, {
      clients: this.#clients,
      sessions: this.#sessions,
      spoolFolder: this.#spoolFolder,
      held: this.#held,
      primingTurns: this.#primingTurns,
    });
  }

  endSession(session: string): Promise<void> {
    return this.#sessions.end(session);
  }

  async close(): Promise<void> {
    await this.#sessions.closeAll();
    this.#clients.close();
  }
}
