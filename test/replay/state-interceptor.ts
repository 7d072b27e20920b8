/** Runs inside of a replayed workflow: at the end of each activation hands out what its queries answer, and what it asks for. */
import { proxySinks, type Headers, type Sinks, type WorkflowInterceptorsFactory } from '@temporalio/workflow';

export interface StateSinks extends Sinks {
  readonly states: {
    take(state: Readonly<Record<string, unknown>>): void;
  };
  readonly commands: {
    take(command: AskedFor): void;
  };
}

/** An activity by its type, or the run that follows. */
export interface AskedFor {
  readonly what: string;
  readonly headers: Headers;
}

/** What the SDK keeps of a workflow. It has no public way to ask a workflow from within. */
interface Activator {
  readonly queryHandlers: ReadonlyMap<string, { readonly handler: () => unknown }>;
}

const { states, commands } = proxySinks<StateSinks>();

/** Of a workflow that answers no query: what it returned. Its result is all that anybody knows of it. */
let result: { readonly result: unknown } | null = null;

export const interceptors: WorkflowInterceptorsFactory = () => ({
  inbound: [
    {
      async execute(input, next) {
        const returned = await next(input);
        result = { result: returned };
        return returned;
      },
    },
  ],
  internals: [
    {
      concludeActivation(input, next) {
        const { __TEMPORAL_ACTIVATOR__: activator } = globalThis as unknown as { __TEMPORAL_ACTIVATOR__: Activator };
        const own = [...activator.queryHandlers].filter(([name]) => !name.startsWith('__'));
        const answers = Object.fromEntries(own.map(([name, { handler }]) => [name, answerOf(handler)]));
        states.take(own.length === 0 && result !== null ? result : answers);
        for (const { scheduleActivity, continueAsNewWorkflowExecution: following } of input.commands) {
          const { activityType, headers } = scheduleActivity ?? {};
          if (scheduleActivity) commands.take({ what: activityType ?? '', headers: headers ?? {} });
          if (following) commands.take({ what: 'the run that follows', headers: following.headers ?? {} });
        }
        return next(input);
      },
    },
  ],
});

/** A query may refuse, as long as there is nothing to tell. */
function answerOf(handler: () => unknown): unknown {
  try {
    return handler();
  } catch (error) {
    return { refused: String(error) };
  }
}
