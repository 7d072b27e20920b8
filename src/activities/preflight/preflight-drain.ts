import type { Shard } from '../../domain/shard-map';
import type { CoordinatorActivities } from '../../contract/activities';
import type { DrainPreflightInput } from '../../contract/move';
import {
  agreedCollections,
  probeRouters,
  probeShards,
  refuseMultivector,
  requireAnswer,
  requireRouter,
  type Role,
} from './checks';
import type { ActivityScope } from '../frame/run-activity';

type DrainReport = Awaited<ReturnType<CoordinatorActivities['preflightDrain']>>;

/**
 * Refuses a drain that cannot end well. Changes nothing. All are asked side by side. The first check that fails, in this
 * order, is the answer. Who the shards are is known by now (identify-shards.ts).
 */
export async function preflightDrain(scope: ActivityScope, input: DrainPreflightInput): Promise<DrainReport> {
  const { placement, shards } = input;
  const roleOf = ({ id }: Shard): Role => (placement.leaving.includes(id) ? 'leaver' : 'stayer');
  const [probes, routers] = await Promise.all([probeShards(scope, shards, roleOf), probeRouters(scope, input)]);
  scope.attempt.signal.throwIfAborted();
  const seen = probes.map(requireAnswer);
  for (const router of routers) requireRouter(router, input.mapVersion);
  const collections = await agreedCollections(scope, shards, seen, roleOf);
  refuseMultivector(collections, 'a shard leaves');
  return { collections: collections[0]?.length ?? 0 };
}
