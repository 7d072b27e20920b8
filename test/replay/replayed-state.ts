/** What a workflow of this version knows after the replay of a history: the commands alone do not tell whether a rule has changed. */
import type { temporal } from '@temporalio/proto';
import { bundleWorkflowCode, DefaultLogger, Worker, type InjectedSinks, type WorkflowBundle } from '@temporalio/worker';
import type { StateSinks } from './state-interceptor';

export function bundleForReplay(): Promise<WorkflowBundle> {
  return bundleWorkflowCode({
    workflowsPath: require.resolve('../../src/workflows'),
    workflowInterceptorModules: [require.resolve('./state-interceptor')],
    logger: new DefaultLogger('ERROR', () => undefined),
  });
}

/** By query. @throws DeterminismViolationError */
export async function replayedState(
  workflowBundle: WorkflowBundle,
  history: temporal.api.history.v1.IHistory,
): Promise<Readonly<Record<string, unknown>>> {
  let last: Readonly<Record<string, unknown>> = {};
  const sinks: InjectedSinks<StateSinks> = {
    states: {
      take: {
        fn: (_info, state) => {
          last = state;
        },
        callDuringReplay: true,
      },
    },
  };
  await Worker.runReplayHistory({ workflowBundle, sinks }, history, 'replayed');
  return last;
}
