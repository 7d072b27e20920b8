/**
 * The cluster: the one place that knows the shard map, the next id and who holds the lock. It runs as long as the cluster does.
 *
 * 1. Queries answer the map and the whole state.
 * 2. The Update `transition` applies one pure, synchronous step of domain/cluster-state.ts. There is no await between check and
 *    change, so two requests can never both pass the same check (INV-1, INV-2).
 * 3. It runs no activity and waits for nothing, so nothing can make it slow or stuck.
 * 4. Before its history gets long it continues as new with its state, which is plain JSON.
 *
 * What survives a crash: everything. An update is answered only after its effect is in the history.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition } from '../activities/contract';
import {
  announceJoin,
  changeByHand,
  confirmAnnounced,
  flipJoin,
  release,
  reserve,
  withdrawJoin,
  type ClusterState,
} from '../domain/cluster-state';
import { HISTORY_EVENTS_MAX } from '../domain/limits';
import { nowMs } from './clock';
import { answering } from './domain-failures';
import { mapQuery, stateQuery, transitionUpdate, type ClusterInput } from './messages';
import { clusterDetails } from './operation-details';

export async function cluster(input: ClusterInput): Promise<void> {
  let state = input.state;
  setHandler(mapQuery, () => state.map);
  setHandler(stateQuery, () => state);
  setHandler(
    transitionUpdate,
    (transition): ClusterAnswer => {
      state = answering(() => apply(state, transition));
      setCurrentDetails(clusterDetails(state));
      return { map: state.map, lockShards: state.lock?.shards ?? [] };
    },
    // A refusal by the validator leaves no event behind, so refused requests do not make the history longer.
    { validator: (transition: ClusterTransition) => void answering(() => apply(state, transition)) },
  );
  setCurrentDetails(clusterDetails(state));

  await condition(() => historyIsLong() && allHandlersFinished());
  await continueAsNew<typeof cluster>({ ...input, state });
}

function apply(state: ClusterState, transition: ClusterTransition): ClusterState {
  switch (transition.type) {
    case 'reserve':
      return reserve(state, { ...transition, nowMs: nowMs() });
    case 'announceJoin':
      return announceJoin(state, transition.operationId);
    case 'confirmAnnounced':
      return confirmAnnounced(state, transition.operationId);
    case 'flipJoin':
      return flipJoin(state, transition.operationId);
    case 'withdrawJoin':
      return withdrawJoin(state, transition.operationId);
    case 'release':
      return release(state, { ...transition, nowMs: nowMs() });
    case 'changeByHand':
      return changeByHand(state, transition.change, transition.key);
  }
}

function historyIsLong(): boolean {
  const info = workflowInfo();
  return info.continueAsNewSuggested || info.historyLength > HISTORY_EVENTS_MAX;
}
