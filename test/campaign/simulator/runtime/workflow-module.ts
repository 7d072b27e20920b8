/**
 * Stands in for `@temporalio/workflow`: what the workflows of this product use of it, over virtual time. Failures are
 * the real classes. The server behind it is server.ts.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import type { ActivityOptions } from '@temporalio/workflow';
import { msToNumber } from '@temporalio/common/lib/time';
import type { Workflow } from './server';

export {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TerminatedFailure,
  TimeoutFailure,
};

/** Which workflow runs, and in which scope. */
export const running = new AsyncLocalStorage<{ readonly workflow: Workflow; readonly scope: CancellationScope }>();

function current(): { workflow: Workflow; scope: CancellationScope } {
  const store = running.getStore();
  if (store === undefined) throw new Error('this is to be called by a workflow');
  return store;
}

export function isCancellation(error: unknown): boolean {
  return (
    error instanceof CancelledFailure ||
    ((error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) &&
      error.cause instanceof CancelledFailure)
  );
}

export class ContinueAsNew extends Error {
  readonly input: unknown;

  constructor(input: unknown) {
    super('Workflow continued as new');
    this.name = 'ContinueAsNew';
    this.input = input;
  }
}

interface ScopeOptions {
  readonly cancellable?: boolean;
  readonly parent?: CancellationScope | null;
}

/** As the real one since NonCancellableScopesAreShieldedFromPropagation. */
export class CancellationScope {
  readonly cancellable: boolean;
  readonly cancelRequested: Promise<never>;
  #isRequested = false;
  #reject: (reason: Error) => void = () => undefined;

  constructor({ cancellable = true, parent = CancellationScope.current() }: ScopeOptions = {}) {
    this.cancellable = cancellable;
    this.cancelRequested = new Promise<never>((_, reject) => {
      this.#reject = (reason) => {
        this.#isRequested = true;
        reject(reason);
      };
    });
    this.cancelRequested.catch(() => undefined);
    if (parent?.cancellable !== true) return;
    this.#isRequested = parent.#isRequested;
    parent.cancelRequested.catch((reason: unknown) => this.#reject(reason as Error));
  }

  get consideredCancelled(): boolean {
    return this.#isRequested && this.cancellable;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return running.run({ workflow: current().workflow, scope: this }, work);
  }

  cancel(): void {
    this.#reject(new CancelledFailure('Cancellation scope cancelled'));
  }

  static current(): CancellationScope {
    return current().scope;
  }

  static cancellable<T>(work: () => Promise<T>): Promise<T> {
    return new this({ cancellable: true }).run(work);
  }

  static nonCancellable<T>(work: () => Promise<T>): Promise<T> {
    return new this({ cancellable: false }).run(work);
  }
}

export function sleep(duration: string | number): Promise<void> {
  const { workflow, scope } = current();
  return workflow.sleep(typeof duration === 'number' ? duration : msToNumber(duration), scope);
}

export async function condition(isMet: () => boolean): Promise<void> {
  const { workflow, scope } = current();
  return workflow.condition(isMet, scope);
}

export function proxyActivities(options: ActivityOptions): object {
  return new Proxy(
    {},
    {
      get: (_target, type) => (input: object) => {
        const { workflow, scope } = current();
        return workflow.activity(String(type), input, { options, scope });
      },
    },
  );
}

interface Definition {
  readonly name: string;
}

export const defineQuery = (name: string): Definition => ({ name });
export const defineUpdate = defineQuery;
export const defineSignal = defineQuery;

export function setHandler(
  { name }: Definition,
  handler: (...args: unknown[]) => unknown,
  options?: { validator?: (...args: unknown[]) => void },
): void {
  current().workflow.handlers.set(name, { handler, validator: options?.validator ?? null });
}

export function allHandlersFinished(): boolean {
  return current().workflow.handlersRunning === 0;
}

export function workflowInfo(): object {
  const { workflow } = current();
  return {
    workflowId: workflow.id,
    runId: workflow.runId,
    firstExecutionRunId: workflow.id,
    historyLength: workflow.historyLength,
    continueAsNewSuggested: false,
  };
}

/** Every run of the simulator begins under this code. */
export const patched = (): boolean => true;

export function continueAsNew(input: unknown): Promise<never> {
  return Promise.reject(new ContinueAsNew(JSON.parse(JSON.stringify(input))));
}

/** Its value decides nothing. */
export const uuid4 = (): string => randomUUID();
export const setCurrentDetails = (_details: string): void => undefined;
export const upsertMemo = (_memo: object): void => undefined;
export const upsertSearchAttributes = (_attributes: object): void => undefined;
const ignore = (): void => undefined;
export const log = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };
