/** The workflows of a run, and the server that they run on. */
import { CancelledFailure, ApplicationFailure } from './failures';
import type { ActivityOptions } from '@temporalio/workflow';
import { ActivityServer } from './activities';
import type { Random } from '../world/random';
import type { VirtualTime } from './time';
import { CancellationScope, ContinueAsNew, isCancellation, running } from './workflow-module';

export type WorkflowFunction = (input: never) => Promise<unknown>;
export type WorkflowStatus = 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED';

interface Handler {
  readonly handler: (...args: unknown[]) => unknown;
  readonly validator: ((...args: unknown[]) => void) | null;
}

/** One workflow, through all of its runs. */
export class Workflow {
  readonly id: string;
  runId = '';
  handlers = new Map<string, Handler>();
  handlersRunning = 0;
  historyLength = 0;
  status: WorkflowStatus = 'RUNNING';
  closedAtMs = 0;
  result: unknown = null;
  failure: unknown = null;
  runs = 0;
  readonly #fn: WorkflowFunction;
  readonly #server: TemporalServer;
  #root: CancellationScope | null = null;
  #conditions = new Set<{ readonly isMet: () => boolean; readonly go: () => void }>();

  constructor(server: TemporalServer, id: string, fn: WorkflowFunction) {
    this.#server = server;
    this.id = id;
    this.#fn = fn;
  }

  get isOpen(): boolean {
    return this.status === 'RUNNING';
  }

  begin(input: unknown): void {
    this.runs += 1;
    this.runId = `${this.id}#${this.runs}`;
    this.handlers = new Map();
    this.handlersRunning = 0;
    this.historyLength = 3;
    this.#conditions = new Set();
    const scope = new CancellationScope({ parent: null });
    this.#root = scope;
    const { runId } = this;
    running
      .run({ workflow: this, scope }, () => this.#fn(clone(input) as never))
      .then(
        (result) => this.#close(runId, () => this.#end('COMPLETED', result, null)),
        (error: unknown) =>
          this.#close(runId, () => {
            if (error instanceof ContinueAsNew) this.begin(error.input);
            else if (isCancellation(error)) this.#end('CANCELLED', null, error);
            else this.#end('FAILED', null, error);
          }),
      );
  }

  #close(runId: string, end: () => void): void {
    if (this.isOpen && runId === this.runId) end();
  }

  #end(status: WorkflowStatus, result: unknown, failure: unknown): void {
    this.status = status;
    this.result = result;
    this.failure = failure;
    this.closedAtMs = this.#server.time.nowMs;
  }

  terminate(): void {
    if (this.isOpen) this.#end('TERMINATED', null, null);
  }

  /** As the button of the Web UI does. */
  cancel(): void {
    if (this.isOpen) this.#root?.cancel();
  }

  /** Throws what the workflow answers. A closed one takes no update. */
  async update(name: string, ...args: unknown[]): Promise<unknown> {
    if (!this.isOpen) throw ApplicationFailure.nonRetryable(`workflow ${this.id} has ended`, 'WorkflowClosed');
    const entry = this.#handlerOf(name);
    const copies = clone(args) as unknown[];
    const store = { workflow: this, scope: this.#root! };
    running.run(store, () => entry.validator?.(...copies));
    this.historyLength += 2;
    this.handlersRunning += 1;
    const { runId } = this;
    try {
      return clone(await running.run(store, () => entry.handler(...copies)));
    } finally {
      if (runId === this.runId) this.handlersRunning -= 1;
    }
  }

  /** Closed ones answer too. */
  query(name: string): unknown {
    return clone(running.run({ workflow: this, scope: this.#root! }, () => this.#handlerOf(name).handler()));
  }

  #handlerOf(name: string): Handler {
    const entry = this.handlers.get(name);
    if (entry === undefined) throw new Error(`workflow ${this.id} has no handler ${name}`);
    return entry;
  }

  // ---- What its code asks for ----

  /** Goes on only while this run of it is open. */
  #whileOpen(go: () => void): () => void {
    const { runId } = this;
    return () => {
      if (this.isOpen && runId === this.runId) go();
    };
  }

  sleep(ms: number, scope: CancellationScope): Promise<void> {
    this.historyLength += 2;
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void => this.#whileOpen(() => reject(asError(error)))();
      scope.cancelRequested.catch((error: unknown) => scope.cancellable && fail(error));
      if (!scope.consideredCancelled) this.#server.time.after(ms, null, this.#whileOpen(resolve));
    });
  }

  condition(isMet: () => boolean, scope: CancellationScope): Promise<void> {
    return new Promise((resolve, reject) => {
      if (scope.consideredCancelled) {
        reject(new CancelledFailure('Cancellation scope cancelled'));
        return;
      }
      if (isMet()) {
        resolve();
        return;
      }
      const inContext = running.getStore()!;
      const entry = { isMet: () => running.run(inContext, isMet), go: this.#whileOpen(resolve) };
      this.#conditions.add(entry);
      scope.cancelRequested.catch((error: unknown) => {
        if (scope.cancellable && this.#conditions.delete(entry)) reject(asError(error));
      });
    });
  }

  activity(type: string, input: object, of: { options: ActivityOptions; scope: CancellationScope }): Promise<unknown> {
    this.historyLength += 3;
    const { scope, options } = of;
    return new Promise((resolve, reject) => {
      if (scope.consideredCancelled) {
        scope.cancelRequested.catch((error: unknown) => this.#whileOpen(() => reject(asError(error)))());
        return;
      }
      const activity = this.#server.activities.schedule(this, { type, input, options }, (outcome) =>
        this.#whileOpen(() => {
          if (outcome.failure === null) resolve(outcome.result);
          else reject(outcome.failure);
        })(),
      );
      scope.cancelRequested.catch(() => {
        if (scope.cancellable) this.#whileOpen(() => activity.requestCancel())();
      });
    });
  }

  checkConditions(): void {
    if (!this.isOpen) return;
    for (const entry of this.#conditions) {
      if (!entry.isMet()) continue;
      this.#conditions.delete(entry);
      entry.go();
    }
  }
}

export class TemporalServer {
  readonly time: VirtualTime;
  readonly activities: ActivityServer;
  readonly #workflows = new Map<string, Workflow>();

  constructor(time: VirtualTime, random: Random) {
    this.time = time;
    this.activities = new ActivityServer(time, random);
  }

  /** Finds the one that runs, or ran, under this id. */
  start(id: string, fn: WorkflowFunction, input: unknown): Workflow {
    const known = this.#workflows.get(id);
    if (known !== undefined) return known;
    const workflow = new Workflow(this, id, fn);
    this.#workflows.set(id, workflow);
    workflow.begin(input);
    return workflow;
  }

  find(id: string): Workflow | null {
    return this.#workflows.get(id) ?? null;
  }

  settle(): void {
    for (const workflow of this.#workflows.values()) workflow.checkConditions();
  }
}

function clone(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** What the runtime rejects with is always a failure. */
function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('something was thrown that is no error');
}
