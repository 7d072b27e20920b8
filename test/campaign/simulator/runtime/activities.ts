/**
 * The server's side of activities: task queues, attempts, time-outs, heartbeats, retries and cancels. A worker runs the
 * real activities of the product in a process of its own, which may die, stand still, or lose the server.
 */
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import type { ActivityOptions } from '@temporalio/workflow';
import type { Random } from '../world/random';
import { activityFailure, ApplicationFailure, asFailure, CancelledFailure, TimeoutFailure } from './failures';
import { Process, processes, type VirtualTime } from './time';
import type { Workflow } from './server';
import { msToNumber } from '@temporalio/common/lib/time';

export type Activities = Readonly<Record<string, (input: never) => Promise<unknown>>>;
export type Outcome =
  { readonly failure: null; readonly result: unknown } | { readonly failure: Error; readonly result: null };

export class SimWorker {
  readonly process: Process;
  readonly taskQueue: string;
  activities: Activities = {};
  /** It cannot reach the server until then. What it does goes on. */
  isCutOffUntilMs = 0;

  constructor(name: string) {
    this.process = new Process(name);
    this.taskQueue = name;
  }
}

/** Of an activity that the server gave up. */
class ActivityNotFoundError extends Error {
  override name = 'ActivityNotFoundError';
}

interface Task {
  readonly type: string;
  readonly input: object;
  readonly options: ActivityOptions;
}

export class ActivityServer {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly workers: SimWorker[] = [];
  readonly byToken = new Map<string, Attempt>();
  readonly #waiting: Activity[] = [];
  #ids = 0;
  /** For the trace. */
  onAttempt: (type: string, what: string) => void = () => undefined;

  constructor(time: VirtualTime, random: Random) {
    this.time = time;
    this.random = random;
  }

  addWorker(worker: SimWorker): void {
    this.workers.push(worker);
    for (const activity of this.#waiting.splice(0)) this.offer(activity);
  }

  schedule(workflow: Workflow, task: Task, done: (outcome: Outcome) => void): Activity {
    const activity = new Activity(this, workflow, { ...task, id: String(++this.#ids), done });
    activity.schedule();
    return activity;
  }

  /** To any worker that listens; else it waits for one. */
  offer(activity: Activity): void {
    const { taskQueue } = activity.task.options;
    const able = this.workers.filter(
      (worker) => worker.process.isAlive && (taskQueue === undefined || taskQueue === worker.taskQueue),
    );
    if (able.length === 0) this.#waiting.push(activity);
    else activity.startOn(this.random.pick(able));
  }

  withdraw(activity: Activity): void {
    const at = this.#waiting.indexOf(activity);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** What `client.activity.heartbeat` does: it waits for the server, and throws when the attempt is no more. */
  async heartbeat(token: Uint8Array, details: unknown): Promise<void> {
    const owner = processes.getStore() ?? null;
    await this.time.sleep(this.random.between(1, 4), owner);
    const attempt = this.byToken.get(Buffer.from(token).toString());
    if (attempt === undefined) throw new Error('an unknown token');
    const wait = attempt.worker.isCutOffUntilMs - this.time.nowMs;
    if (wait > 0) await this.time.sleep(wait, owner);
    if (!attempt.isCurrent) throw new ActivityNotFoundError('the attempt is no more');
    attempt.heartbeatArrives(details);
    await this.time.sleep(this.random.between(1, 4), owner);
  }
}

class Activity {
  readonly task: Task & { readonly id: string; readonly done: (outcome: Outcome) => void };
  readonly server: ActivityServer;
  readonly workflow: Workflow;
  attempt: Attempt | null = null;
  number = 0;
  scheduledAtMs = 0;
  heartbeatDetails: unknown = undefined;
  isCancelRequested = false;
  #isOver = false;
  #state: 'waiting' | 'started' | 'pausing' = 'waiting';

  constructor(
    server: ActivityServer,
    workflow: Workflow,
    task: Task & { id: string; done: (outcome: Outcome) => void },
  ) {
    this.server = server;
    this.workflow = workflow;
    this.task = task;
  }

  get isOver(): boolean {
    return this.#isOver || !this.workflow.isOpen;
  }

  schedule(): void {
    const { time } = this.server;
    this.#state = 'waiting';
    this.scheduledAtMs = time.nowMs;
    const { number } = this;
    const { scheduleToStartTimeout } = this.task.options;
    time.after(this.server.random.between(1, 4), null, () => {
      if (!this.isOver && this.#state === 'waiting' && number === this.number) this.server.offer(this);
    });
    if (scheduleToStartTimeout === undefined) return;
    time.after(millis(scheduleToStartTimeout), null, () => {
      if (this.isOver || this.#state !== 'waiting' || number !== this.number) return;
      this.server.withdraw(this);
      this.#fail(new TimeoutFailure('activity ScheduleToStart timeout', undefined, 'SCHEDULE_TO_START'));
    });
  }

  startOn(worker: SimWorker): void {
    if (this.isOver) return;
    this.#state = 'started';
    this.number += 1;
    this.attempt = new Attempt(this, worker);
    this.attempt.begin();
  }

  requestCancel(): void {
    if (this.isOver || this.isCancelRequested) return;
    this.isCancelRequested = true;
    const gone = new CancelledFailure('Activity cancelled');
    if (this.#state !== 'started') {
      this.server.withdraw(this);
      this.#fail(gone);
    } else if (this.task.options.cancellationType !== 'WAIT_CANCELLATION_COMPLETED') this.#fail(gone);
  }

  succeed(result: unknown): void {
    if (this.isOver) return;
    this.#isOver = true;
    this.#answer({ failure: null, result });
  }

  attemptFailed(failure: Error): void {
    if (this.isOver) return;
    const retry = this.task.options.retry ?? {};
    const isCancel = this.isCancelRequested && failure instanceof CancelledFailure;
    const isFinal =
      isCancel ||
      this.isCancelRequested ||
      (failure instanceof ApplicationFailure && failure.nonRetryable === true) ||
      (failure instanceof ApplicationFailure && retry.nonRetryableErrorTypes?.includes(failure.type ?? '') === true) ||
      this.number >= (retry.maximumAttempts ?? Infinity);
    if (isFinal) return this.#fail(failure);
    const growing = millis(retry.initialInterval ?? 1_000) * (retry.backoffCoefficient ?? 2) ** (this.number - 1);
    const pauseMs = Math.min(growing, millis(retry.maximumInterval ?? 100_000));
    const asked = failure instanceof ApplicationFailure ? failure.nextRetryDelay : undefined;
    this.#state = 'pausing';
    this.server.time.after(asked == null ? pauseMs : millis(asked), null, () => {
      if (!this.isOver) this.schedule();
    });
  }

  #fail(cause: Error): void {
    if (this.isOver) return;
    this.#isOver = true;
    this.#answer({ failure: activityFailure(this.task.type, this.task.id, cause), result: null });
  }

  #answer(outcome: Outcome): void {
    this.server.time.after(this.server.random.between(1, 4), null, () => this.task.done(outcome));
  }
}

class Attempt {
  readonly worker: SimWorker;
  readonly #activity: Activity;
  readonly #number: number;
  readonly #cancel = new AbortController();
  #heartbeatAtMs = 0;
  #isGivenUp = false;

  constructor(activity: Activity, worker: SimWorker) {
    this.#activity = activity;
    this.worker = worker;
    this.#number = activity.number;
  }

  get isCurrent(): boolean {
    return !this.#isGivenUp && !this.#activity.isOver && this.#activity.number === this.#number;
  }

  begin(): void {
    const { server, task, workflow } = this.#activity;
    const { time, random } = server;
    const token = `${task.id}/${this.#number}`;
    server.byToken.set(token, this);
    this.#heartbeatAtMs = time.nowMs;
    this.#watchTime();
    const { startToCloseTimeout, heartbeatTimeout } = task.options;
    const info = {
      activityId: task.id,
      activityType: task.type,
      attempt: this.#number,
      heartbeatDetails: this.#activity.heartbeatDetails,
      workflowExecution: { workflowId: workflow.id, runId: workflow.runId },
      taskToken: Buffer.from(token),
      startToCloseTimeoutMs: millis(startToCloseTimeout ?? 0),
      heartbeatTimeoutMs: heartbeatTimeout === undefined ? undefined : millis(heartbeatTimeout),
      currentAttemptScheduledTimestampMs: this.#activity.scheduledAtMs,
    };
    const context = {
      info,
      cancellationSignal: this.#cancel.signal,
      heartbeat: (details: unknown) => this.#heartbeat(clone(details)),
    } as unknown as Context;
    const body = this.worker.activities[task.type];
    if (body === undefined) throw new Error(`no activity ${task.type}`);
    const input = clone(task.input) as never;
    server.onAttempt(task.type, `begins on ${this.worker.process.name}, attempt ${this.#number}`);
    const arrives = (told: () => void): void => {
      const cutOffMs = Math.max(0, this.worker.isCutOffUntilMs - time.nowMs);
      time.after(cutOffMs + random.between(1, 4), this.worker.process, () => {
        if (this.isCurrent) told();
      });
    };
    void processes.run(this.worker.process, () =>
      asyncLocalStorage
        .run(context, async () => body(input))
        .then(
          (result) =>
            arrives(() => {
              this.#activity.succeed(clone(result));
            }),
          (error: unknown) =>
            arrives(() => {
              const failure = asFailure(error);
              server.onAttempt(task.type, `failed: ${failure.message.slice(0, 160)}`);
              this.#end(failure);
            }),
        ),
    );
  }

  /** By the worker's SDK: the answer brings the wish to cancel. */
  #heartbeat(details: unknown): void {
    const { time } = this.#activity.server;
    if (!this.worker.process.isAlive || this.worker.isCutOffUntilMs > time.nowMs) return;
    if (this.isCurrent) this.heartbeatArrives(details);
    const { workflow, isCancelRequested } = this.#activity;
    if (!this.isCurrent || !workflow.isOpen) this.#cancel.abort(new CancelledFailure('NOT_FOUND'));
    else if (isCancelRequested) this.#cancel.abort(new CancelledFailure('CANCELLED'));
  }

  heartbeatArrives(details: unknown): void {
    this.#heartbeatAtMs = this.#activity.server.time.nowMs;
    this.#activity.heartbeatDetails = details;
  }

  #watchTime(): void {
    const { server, task } = this.#activity;
    const { startToCloseTimeout, heartbeatTimeout } = task.options;
    if (startToCloseTimeout !== undefined) {
      server.time.after(millis(startToCloseTimeout), null, () => this.#timeOut('START_TO_CLOSE'));
    }
    if (heartbeatTimeout === undefined) return;
    const boundMs = millis(heartbeatTimeout);
    const look = (): void => {
      if (!this.isCurrent) return;
      const leftMs = this.#heartbeatAtMs + boundMs - server.time.nowMs;
      if (leftMs <= 0) this.#timeOut('HEARTBEAT');
      else server.time.after(leftMs, null, look);
    };
    server.time.after(boundMs, null, look);
  }

  #timeOut(type: 'START_TO_CLOSE' | 'HEARTBEAT'): void {
    if (!this.isCurrent) return;
    this.#activity.server.onAttempt(this.#activity.task.type, `given up: ${type}`);
    this.#end(new TimeoutFailure(`activity ${type} timeout`, undefined, type));
  }

  #end(failure: Error): void {
    this.#isGivenUp = true;
    this.#activity.attemptFailed(failure);
  }
}

function millis(duration: unknown): number {
  return typeof duration === 'number' ? duration : msToNumber(duration);
}

function clone(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
