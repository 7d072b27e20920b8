/** What a workflow of this version knows after the replay of a history: the commands alone do not tell whether a rule has changed. */
import { join } from 'node:path';
import type { temporal } from '@temporalio/proto';
import { bundleWorkflowCode, DefaultLogger, Worker, type InjectedSinks, type WorkflowBundle } from '@temporalio/worker';
import { workflowSources } from '../../src/temporal/workflow-sources';
import type { AskedFor, StateSinks } from './state-interceptor';

export function bundleForReplay(): Promise<WorkflowBundle> {
  const { workflowsPath, workflowInterceptorModules } = workflowSources(join(__dirname, '../../src'), '.ts');
  return bundleWorkflowCode({
    workflowsPath,
    workflowInterceptorModules: [...workflowInterceptorModules, require.resolve('./state-interceptor')],
    logger: new DefaultLogger('ERROR', () => undefined),
  });
}

/** By query. @throws DeterminismViolationError */
export async function replayedState(
  workflowBundle: WorkflowBundle,
  history: temporal.api.history.v1.IHistory,
): Promise<Readonly<Record<string, unknown>>> {
  return (await replayed(workflowBundle, history)).state;
}

/** The state, and all that the workflow asked for. @throws DeterminismViolationError */
export async function replayed(
  workflowBundle: WorkflowBundle,
  history: temporal.api.history.v1.IHistory,
): Promise<{ readonly state: Readonly<Record<string, unknown>>; readonly asked: readonly AskedFor[] }> {
  const asked: AskedFor[] = [];
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
    commands: { take: { fn: (_info, command) => void asked.push(command), callDuringReplay: true } },
  };
  await Worker.runReplayHistory({ workflowBundle, sinks }, history, 'replayed');
  return { state: last, asked };
}
