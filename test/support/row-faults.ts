/**
 * Faults that strike an operation while one phase of it runs, whatever the phase does. They stand between a worker and its activities, so a
 * new row is struck without a new test.
 */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { createActivities } from '../../src/activities';
import { progressQuery } from '../../src/contract/messages';
import type { Phase } from '../../src/domain/progress';

/** What happens around a call. What throws is the failure of the attempt. */
export interface CallFault {
  /** Which activities are struck. Absent: all of the phase. */
  readonly isStruck?: (name: string) => boolean;
  readonly before?: (name: string) => Promise<void>;
  /** The activity has succeeded, and nobody was told yet. */
  readonly after?: (name: string) => Promise<void>;
}

type Activities = ReturnType<typeof createActivities>;
type Input = { readonly transition?: { readonly type: string } };
type AnyActivity = (input: Input) => Promise<unknown>;

/** Strikes the calls of the workflow type `operation`; those of its recovery are left alone. */
export class RowFaults {
  /** The activities of each phase, in the order in which they were called for the first time. */
  readonly called = new Map<Phase, string[]>();
  private readonly client: Client;
  private readonly operation: string;
  private readonly faults = new Map<Phase, CallFault>();
  private readonly struck = new Map<Phase, Set<Promise<unknown>>>();

  constructor(client: Client, operation: string) {
    this.client = client;
    this.operation = operation;
  }

  strike(phase: Phase, fault: CallFault): void {
    this.faults.set(phase, fault);
  }

  clear(): void {
    this.faults.clear();
  }

  isReached(phase: Phase): boolean {
    return this.struck.has(phase);
  }

  /** When the calls that were struck are over, also those whose operation is. */
  async settled(phase: Phase): Promise<void> {
    await Promise.allSettled([...(this.struck.get(phase) ?? [])]);
  }

  readonly wrap = (activities: Activities): Activities =>
    new Proxy(activities, {
      get: (target, name) => {
        const run = Reflect.get(target, name) as AnyActivity | undefined;
        if (run === undefined) return undefined;
        return (input: Input) =>
          isEnding(String(name), input) ? run(input) : this.run(String(name), () => run(input));
      },
    });

  private async run(name: string, run: () => Promise<unknown>): Promise<unknown> {
    const { workflowExecution, workflowType } = Context.current().info;
    if (workflowType !== this.operation) return run();
    const handle = this.client.workflow.getHandle(workflowExecution?.workflowId ?? '');
    const { phase } = await handle.query(progressQuery);
    this.note(phase, name);
    const fault = this.faults.get(phase);
    if (fault === undefined || fault.isStruck?.(name) === false) return run();
    const struck = strikeCall(fault, name, run);
    this.struck.set(phase, (this.struck.get(phase) ?? new Set()).add(struck));
    return struck;
  }

  private note(phase: Phase, name: string): void {
    const names = this.called.get(phase) ?? [];
    if (!names.includes(name)) this.called.set(phase, [...names, name]);
  }
}

async function strikeCall(fault: CallFault, name: string, run: () => Promise<unknown>): Promise<unknown> {
  await fault.before?.(name);
  const result = await run();
  await fault.after?.(name);
  return result;
}

/** Giving the lock back, or ending a check, is the end of the operation and no part of a row; so is forgetting what was kept. */
function isEnding(name: string, { transition }: Input): boolean {
  if (name === 'endSession' || name === 'closeWatch') return true;
  return transition?.type === 'release' || transition?.type === 'endCheck';
}
