/**
 * Faults that strike an operation while one row of its script runs, whatever the row does. They stand between a worker and its
 * activities, so a new row is struck without a new test.
 */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { createActivities } from '../../src/activities';
import { progressQuery } from '../../src/contract/messages';
import type { Phase } from '../../src/domain/progress';

/** One attempt of one activity of the operation. */
export interface ActivityCall {
  readonly name: string;
  readonly attempt: number;
  readonly phase: Phase;
}

/** What happens around each call in the row. What throws is the failure of the attempt. */
export interface RowFault {
  readonly before?: (call: ActivityCall) => Promise<void>;
  /** The activity has succeeded, and nobody was told yet. */
  readonly after?: (call: ActivityCall) => Promise<void>;
}

type Activities = ReturnType<typeof createActivities>;
type AnyActivity = (input: object) => Promise<unknown>;

/** Strikes the calls of the workflow type `operation` in phase `row`; those of its recovery are left alone. */
export class RowFaults {
  private readonly client: Client;
  private readonly operation: string;
  private readonly row: Phase;
  private fault: RowFault | null = null;
  private reach: () => void = () => undefined;
  /** Resolves when the row calls its first activity. */
  readonly reached = new Promise<void>((resolve) => (this.reach = resolve));
  readonly struck = new Set<string>();

  constructor(client: Client, operation: string, row: Phase) {
    this.client = client;
    this.operation = operation;
    this.row = row;
  }

  strike(fault: RowFault | null): void {
    this.fault = fault;
  }

  readonly wrap = (activities: Activities): Activities =>
    new Proxy(activities, {
      get: (target, name) => {
        const run = Reflect.get(target, name) as AnyActivity | undefined;
        return run === undefined
          ? undefined
          : (input: { transition?: { type: string } }) =>
              isEnding(input) ? run(input) : this.run(String(name), () => run(input));
      },
    });

  private async run(name: string, run: () => Promise<unknown>): Promise<unknown> {
    const { attempt, workflowExecution, workflowType } = Context.current().info;
    const { fault } = this;
    if (fault === null || workflowType !== this.operation) return run();
    const handle = this.client.workflow.getHandle(workflowExecution?.workflowId ?? '');
    const { phase } = await handle.query(progressQuery);
    if (phase !== this.row) return run();
    const call = { name, attempt, phase };
    this.struck.add(name);
    this.reach();
    await fault.before?.(call);
    const result = await run();
    await fault.after?.(call);
    return result;
  }
}

/** Giving the lock back, or ending a check, is the end of the operation and no part of a row. */
function isEnding(input: { transition?: { type: string } }): boolean {
  return input.transition?.type === 'release' || input.transition?.type === 'endCheck';
}
