/** The map that a check or a repair judges by: taken at its beginning, and confirmed while it works. */
import { ApplicationFailure } from '@temporalio/workflow';
import type { ClusterAnswer } from '../../contract/cluster';
import type { RepairParties } from '../../contract/repair';
import type { OperationSettings, RepairRequest } from '../../contract/requests';
import { requestDigest } from '../../domain/request-digest';
import { requireParties } from '../../domain/repair-request';
import { asMember, placementSpec } from '../../domain/shard-map';
import { broughtUid, identifyShards, mapForMove } from '../identity/identify';
import { moveOf } from '../move/placement';
import { answering } from '../operation/domain-failures';
import { awaitRouters } from '../operation/routers';
import type { OperationRun } from '../operation/run';
import { applyTransition } from '../operation/transition';

/** What every step of a check or a repair works on. */
export interface RepairContext {
  readonly run: OperationRun;
  /** False: a check, which changes nothing and holds no lock. */
  readonly isRepair: boolean;
  readonly routerUrls: readonly string[];
  readonly settings: Pick<OperationSettings, 'scanStopMaxMs'>;
  readonly request: RepairRequest;
}

export async function preflight(context: RepairContext): Promise<string> {
  const { run, request } = context;
  const { state } = run;
  const answer = await hold(context);
  const { map } = answer;
  state.mapVersion = map.version;
  state.move = { placement: placementSpec(map), shards: mapForMove(answer).shards };
  answering(() => requireParties(map, request));
  state.announced = { map, shardIds: [], request };
  const leftovers = request.leftovers.length;
  return `map version ${map.version}, ${map.shards.length} shards${leftovers === 0 ? '' : `, ${leftovers} leftovers`}`;
}

/** Takes the lock, or says that the check runs. A repeat only asks for the map. */
function hold({ run, isRepair, request }: RepairContext): Promise<ClusterAnswer> {
  const { operationId } = run.state.progress;
  const asked = requestDigest(request);
  return isRepair
    ? applyTransition(run, 'take the lock', {
        type: 'reserve',
        operationId,
        request: { kind: 'repair' },
        asked,
        ...broughtUid(),
      })
    : applyTransition(run, 'may a check begin?', { type: 'beginCheck', operationId, asked, ...broughtUid() });
}

/** INV-8: a shard that lost its data has nothing to compare, and one under two addresses would lose its only copies. */
export async function identify(context: RepairContext): Promise<void> {
  const { run, isRepair, request } = context;
  const answer = await hold(context);
  const { leftovers } = request;
  const members = mapForMove(answer).shards;
  await identifyShards(run, answer, { joiners: [], members, leftovers, isCheck: !isRepair, roleOf: () => null });
}

/**
 * INV-2: a repair whose workflow was reset must not go on without the lock. What is judged by a map is worth nothing under another
 * one; a restored cluster may have given the same map a higher version.
 */
export async function confirmMap(context: RepairContext): Promise<void> {
  const { run, isRepair } = context;
  const { operationId } = run.state.progress;
  const { map } = isRepair
    ? await applyTransition(run, 'confirm that the lock is held', { type: 'confirmHeld', operationId })
    : await hold(context);
  const { placement, shards } = moveOf(run);
  const isSame =
    JSON.stringify(placementSpec(map)) === JSON.stringify(placement) &&
    JSON.stringify(map.shards) === JSON.stringify(shards.map(asMember));
  if (isRepair && isSame) {
    run.state.mapVersion = map.version;
    return;
  }
  if (map.version === run.state.mapVersion) return;
  throw ApplicationFailure.nonRetryable(
    `the map was version ${run.state.mapVersion} when this began and is ${map.version} now, so what was found is no longer true: start another one`,
    'MapChanged',
  );
}

/** A router with an older map writes to shards that own nothing of it by now, and that copy would be taken for an old one. */
export async function awaitOwners(context: RepairContext): Promise<string> {
  const { run } = context;
  const note = await awaitRouters(context);
  await run.waits.until(
    run.state.routersAdoptedAtMs + run.timings.inFlightMs,
    'a write that a router began with the map before may still be under way',
  );
  return note;
}

export function partiesOf({ run, request }: RepairContext): RepairParties {
  return { ...moveOf(run), leftovers: request.leftovers };
}
