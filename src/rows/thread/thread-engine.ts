import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Engine, EngineJob } from './engine';
import type { JobDone, JobName, JobRequest } from '../remote/run-job';
import { fromFailure } from './errors';
import { newLease, writeLease } from './lease';
import type { FromThread, ThreadData, ThreadOptions, ToThread } from './protocol';
import { steadyBase } from '../../shards/steady-clock';
import { currentTrace } from '../../tracing/current';

const ENTRY = join(__dirname, 'entry.js');

interface Pending {
  readonly job: EngineJob | null;
  readonly lease: Float64Array | null;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Objects of a scan are short-lived, and without these V8 keeps 150 MiB of dead ones. A small heap is collected when it
 * has grown by 2/5, a large one when it is four times as large. Bytes of rows and spools are not part of it.
 */
const HEAP = { maxYoungGenerationSizeMb: 12, maxOldGenerationSizeMb: 512 };
/** How often the lease of a job is carried over to its thread. */
const LEASE_EVERY_MS = 200;

/**
 * Runs jobs in a thread of their own, so that no scan holds up the map, a heartbeat or a workflow task. A thread that
 * dies takes with it what it kept, like a worker that dies: its jobs fail and are tried again in a new one.
 */
export class ThreadEngine implements Engine {
  readonly #options: ThreadOptions;
  readonly #pending = new Map<number, Pending>();
  #thread: Worker | null = null;
  #leases: NodeJS.Timeout | undefined;
  #nextId = 1;

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  /** The compiled thread is there. Tests that run the sources have none. */
  static get isBuilt(): boolean {
    return existsSync(ENTRY);
  }

  async run<Name extends JobName>(job: EngineJob, request: JobRequest<Name>): Promise<JobDone<Name>> {
    const id = this.#nextId++;
    const lease = newLease();
    const view = new Float64Array(lease);
    writeLease(view, job);
    const abort = (): void => this.#send({ kind: 'abort', id });
    job.signal.throwIfAborted();
    job.signal.addEventListener('abort', abort, { once: true });
    try {
      const { deadlineMs } = job.reading;
      const run = { kind: 'run', id, request, deadlineMs, lease, trace: currentTrace() } as const;
      return (await this.#ask(run, { job, lease: view })) as JobDone<Name>;
    } catch (error) {
      job.signal.throwIfAborted();
      throw error;
    } finally {
      job.signal.removeEventListener('abort', abort);
    }
  }

  async endSession(session: string): Promise<void> {
    if (this.#thread === null) return;
    await this.#ask({ kind: 'endSession', id: this.#nextId++, session }, { job: null, lease: null });
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    clearInterval(this.#leases);
    await thread?.terminate();
  }

  #ask(message: ToThread & { id: number }, of: Pick<Pending, 'job' | 'lease'>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#pending.set(message.id, { ...of, resolve, reject });
      this.#send(message);
    });
  }

  #send(message: ToThread): void {
    (this.#thread ??= this.#start()).postMessage(message);
  }

  #start(): Worker {
    const options: ThreadData = { ...this.#options, steadyBase: steadyBase() };
    const thread = new Worker(ENTRY, { workerData: options, resourceLimits: HEAP });
    thread.on('message', (message: FromThread) => {
      this.#receive(message);
    });
    thread.on('error', () => undefined);
    thread.on('exit', () => {
      this.#died(thread);
    });
    clearInterval(this.#leases);
    this.#leases = setInterval(() => {
      for (const { job, lease } of this.#pending.values()) if (job !== null && lease !== null) writeLease(lease, job);
    }, LEASE_EVERY_MS);
    this.#leases.unref();
    return thread;
  }

  #receive(message: FromThread): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    switch (message.kind) {
      case 'progress':
        return report(pending.job, message.progress);
      case 'slowed':
        return pending.job?.tellSlowed?.(message.slowed);
      case 'writes':
        return pending.job?.noteWrites(message.lateWritesUntilMs);
      case 'renewWatch':
        return void this.#renewWatch(message.id, pending.job);
      case 'done':
        this.#pending.delete(message.id);
        return pending.resolve(message.result);
      case 'failed':
        this.#pending.delete(message.id);
        return pending.reject(fromFailure(message.failure));
    }
  }

  async #renewWatch(id: number, job: EngineJob | null): Promise<void> {
    const untilMs = (await job?.renewWatch?.().catch(() => null)) ?? null;
    if (this.#pending.has(id)) this.#send({ kind: 'watched', id, untilMs });
  }

  #died(thread: Worker): void {
    if (this.#thread === thread) this.#thread = null;
    for (const [id, { job, reject }] of this.#pending) {
      this.#pending.delete(id);
      // Nobody can say what it wrote last.
      job?.noteWrites(job.nowMs() + 30_000);
      reject(new Error('the thread that moves rows ended'));
    }
  }
}

/** A job that was cancelled says so on its own way out. */
function report(job: EngineJob | null, progress: Parameters<EngineJob['report']>[0]): void {
  if (job === null || job.signal.aborted) return;
  job.report(progress);
}
