/**
 * The cluster: the one place that knows the shard map, the next id, who holds the lock, the standbys and the autoscale policy. It runs as
 * long as the cluster does.
 *
 * 1. Queries answer the map and the whole state.
 * 2. The Update `transition` applies one pure, synchronous step of the domain. There is no await between check and
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
  log,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ClusterAnswer, ClusterTransition, SentTransition } from '../contract/cluster';
import {
  addStandby,
  isSameNotice,
  markStandbys,
  recordEvaluation,
  refreshNotices,
  removeStandby,
  replacePolicy,
  seedAutoscale,
  type AutoscaleState,
  type Notice,
} from '../domain/autoscale-state';
import { raiseFromZero, readState, type ClusterState } from '../domain/cluster-state';
import {
  adoptIdentities,
  bringUid,
  pruneMembers,
  recordEpochs,
  removeIdentities,
} from '../domain/identity-transitions';
import { unknownToThisVersion } from '../domain/errors';
import { catchUp } from '../domain/witnessed';
import { replaceLimits, seedLimits } from '../domain/limit-transitions';
import { HISTORY_EVENTS_MAX } from '../domain/limits';
import {
  announce,
  beginCheck,
  confirmAnnounced,
  confirmHeld,
  endCheck,
  flip,
  release,
  reserve,
  takeOver,
  withdraw,
} from '../domain/lock-transitions';
import { changeByHand } from '../domain/manual-changes';
import type { Members } from '../domain/members';
import { clearNotice, recordNotices, type ClusterNotice } from '../domain/notices';
import { refuseMember, refuseWhileLocked } from '../domain/preconditions';
import { changeRouters, seedRouters, setRouters } from '../domain/router-list';
import { refuseLaterRules } from '../domain/rules';
import { nowMs } from './clock';
import { answering } from './operation/domain-failures';
import {
  lockQuery,
  mapQuery,
  routersQuery,
  stateQuery,
  transitionUpdate,
  type ClusterInput,
} from '../contract/messages';
import { clusterDetails } from './web-ui-details';

export async function cluster(input: ClusterInput): Promise<void> {
  let state: ClusterState = readState(input.state);
  setHandler(mapQuery, () => state.map);
  setHandler(lockQuery, () => state.lock);
  setHandler(stateQuery, () => state);
  setHandler(routersQuery, () => state.routers?.entries);
  setHandler(
    transitionUpdate,
    (transition): ClusterAnswer => {
      const before = state;
      state = answering(() => applied(state, transition));
      setCurrentDetails(clusterDetails(state));
      logNotices(before.autoscale.notices, state.autoscale.notices);
      logNewNotices(before.notices, state.notices);
      return answerOf(state, transition);
    },
    // A refusal by the validator leaves no event behind, so refused requests do not make the history longer.
    { validator: (transition: SentTransition) => void answering(() => applied(state, transition)) },
  );
  setCurrentDetails(clusterDetails(state));

  await condition(() => historyIsLong() && allHandlersFinished());
  await continueAsNew<typeof cluster>({ ...input, state });
}

/** All that a transition does. The validator does the same, so what fails here is refused and changes nothing. */
function applied(state: ClusterState, transition: SentTransition): ClusterState {
  refuseLaterRules(transition);
  const after = pruneMembers(apply(state, transition));
  return { ...after, autoscale: refreshNotices(after.autoscale, nowMs()) };
}

function apply(state: ClusterState, transition: ClusterTransition): ClusterState {
  switch (transition.type) {
    case 'reserve':
      return reserve(bringUid(state, transition.uid ?? null), { ...transition, nowMs: nowMs() });
    case 'announce':
      return announce(state, transition.operationId);
    case 'confirmHeld':
      return confirmHeld(state, transition.operationId);
    case 'confirmAnnounced':
      return confirmAnnounced(state, transition.operationId);
    case 'flip':
      return flip(state, transition.operationId);
    case 'withdraw':
      return withdraw(state, transition.operationId);
    case 'release':
      return release(state, { ...transition, nowMs: nowMs() });
    case 'takeOver':
      return takeOver(state, { ...transition, nowMs: nowMs() });
    case 'beginCheck':
      return beginCheck(bringUid(state, transition.uid ?? null), { ...transition, nowMs: nowMs() });
    case 'endCheck':
      return endCheck(state, { ...transition, nowMs: nowMs() });
    case 'changeByHand':
      return changeByHand(state, transition.change, transition.key);
    case 'recordEpochs':
      return recordEpochs(state, transition.epochs);
    case 'bringUid':
      return bringUid(state, transition.uid);
    case 'removeIdentities':
      refuseWhileLocked(state);
      return removeIdentities(state);
    case 'adoptIdentities':
      return adoptIdentities(state);
    case 'raiseFromZero':
      return raiseFromZero(state);
    case 'notice':
      return recordNotices(state, transition.notices, nowMs());
    case 'clearNotice':
      return clearNotice(state, transition.key);
    case 'replaceLimits':
      return replaceLimits(state, transition.limits);
    case 'seedLimits':
      return seedLimits(state, transition.limits);
    case 'seedRouters':
      return seedRouters(state, transition.entries);
    case 'setRouters':
      return setRouters(state, transition.entries);
    case 'changeRouters':
      return changeRouters(state, transition);
    case 'catchUp':
      return catchUp(state, transition.published);
    case 'addStandby':
      refuseMember(state, transition.address);
      return { ...state, autoscale: addStandby(state.autoscale, transition.address, nowMs()) };
    default:
      return { ...state, autoscale: applyToAutoscale(state.autoscale, transition) };
  }
}

/** Beginnings are told what is known of each member. */
const BEGINNINGS: readonly ClusterTransition['type'][] = ['reserve', 'beginCheck', 'takeOver'];

function answerOf(state: ClusterState, { type }: ClusterTransition): ClusterAnswer {
  const { map, lock, identity } = state;
  const epoch = lock?.epoch ?? state.epoch;
  const { members, isInOrder, limits } = state;
  const routers = state.routers === undefined ? {} : { routers: state.routers.entries.length };
  const answer = { map, lock, identity, epoch, ...routers, ...(limits === undefined ? {} : { limits }) };
  if (BEGINNINGS.includes(type)) return { ...answer, members, isInOrder };
  return type === 'confirmHeld' ? { ...answer, members: withGrpcAlone(members) } : answer;
}

/** All that an operation needs that looks for new addresses: epochs it has written itself. */
function withGrpcAlone(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, { grpcUrl }]) => grpcUrl !== undefined));
}

type AutoscaleTransition = Extract<
  ClusterTransition,
  { type: 'seedAutoscale' | 'replacePolicy' | 'removeStandby' | 'markStandbys' | 'recordEvaluation' }
>;

function applyToAutoscale(state: AutoscaleState, transition: AutoscaleTransition): AutoscaleState {
  switch (transition.type) {
    case 'seedAutoscale':
      return seedAutoscale(state, { ...transition, nowMs: nowMs() });
    case 'replacePolicy':
      return replacePolicy(state, transition.policy);
    case 'removeStandby':
      return removeStandby(state, transition.primaryUrl);
    case 'markStandbys':
      return markStandbys(state, transition.findings, nowMs());
    case 'recordEvaluation':
      return recordEvaluation(state, { ...transition.evaluation, atMs: nowMs() }, transition);
    default: {
      const { type } = transition as { type: never };
      throw unknownToThisVersion('a transition', type);
    }
  }
}

/** Once per change: what an operator must notice is logged when it begins and when it is over, not while it lasts. */
function logNotices(before: readonly Notice[], after: readonly Notice[]): void {
  const isNew = (each: Notice): boolean => !before.some((other) => isSameNotice(other, each));
  const isOver = (each: Notice): boolean => !after.some((other) => isSameNotice(other, each));
  for (const { code, about, message } of after.filter(isNew)) {
    log.warn(`autoscale: ${message}`, { notice: code, about });
  }
  for (const { code, about } of before.filter(isOver)) {
    log.warn('autoscale: this is over', { notice: code, about });
  }
}

function logNewNotices(before: readonly ClusterNotice[], after: readonly ClusterNotice[]): void {
  for (const { key, code, message } of after) {
    if (!before.some((each) => each.key === key)) log.warn(message, { notice: code, key });
  }
}

function historyIsLong(): boolean {
  const info = workflowInfo();
  return info.continueAsNewSuggested || info.historyLength > HISTORY_EVENTS_MAX;
}
