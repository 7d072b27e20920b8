import { DomainError } from '../../domain/errors';
import { PlacementPlan } from '../../domain/placement-plan';
import type { Shard } from '../../domain/shard-map';
import { PointWalk } from '../../shards/rows/point-walk';
import type { CallContext } from '../../shards/http/shard-client';
import type { CoordinatorActivities } from '../../contract/activities';
import type { DrainPreflightInput } from '../../contract/move';
import { inParallel } from '../frame/in-parallel';
import {
  agreedCollections,
  probeRouter,
  probeShard,
  refusalOf,
  refuseMultivector,
  requireAnswer,
  requireRouter,
  type Collections,
  type Role,
} from './checks';
import type { ActivityScope } from '../frame/run-activity';
import { isInSlice } from '../rows/slice-stream';

/** With the probes before it, this stays below the limits of a waiting REST call and of the activity. */
const CENSUS_MS = 4_000;
const SHARDS_AT_ONCE = 64;
/** How many places a refusal names. */
const NAMED_MAX = 5;

type DrainReport = Awaited<ReturnType<CoordinatorActivities['preflightDrain']>>;

/**
 * Refuses a drain that cannot end well. Changes nothing. All are asked side by side. The first check that fails, in this
 * order, is the answer. Who the shards are is known by now (identify-shards.ts).
 */
export async function preflightDrain(scope: ActivityScope, input: DrainPreflightInput): Promise<DrainReport> {
  const { placement, shards, routerUrls } = input;
  const roleOf = ({ id }: Shard): Role => (placement.leaving.includes(id) ? 'leaver' : 'stayer');
  const [probes, routers] = await Promise.all([
    Promise.all(shards.map((shard) => probeShard(scope, shard, roleOf(shard)))),
    Promise.all(routerUrls.map((url) => probeRouter(scope, url))),
  ]);
  scope.attempt.signal.throwIfAborted();
  const seen = probes.map(requireAnswer);
  for (const router of routers) requireRouter(router, input.mapVersion);
  const collections = await agreedCollections(scope, shards, seen, roleOf);
  refuseMultivector(collections, 'a shard leaves');
  const rowsRead = await refuseMisplaced(scope, input, collections);
  return { collections: collections[0]?.length ?? 0, rowsRead };
}

interface Census {
  rowsRead: number;
  readonly misplaced: { readonly shardId: number; readonly collection: string; points: number }[];
}

/**
 * In the slice the leaver is the truth: what another shard holds there, and the leaver lacks, is deleted as a remnant.
 * A shard that was once added without a move may hold such points, and each may be the only copy. So they must move to
 * their owner first.
 * @throws DomainError MisplacedPoints
 */
async function refuseMisplaced(
  scope: ActivityScope,
  input: DrainPreflightInput,
  collections: readonly Collections[],
): Promise<number> {
  const census: Census = { rowsRead: 0, misplaced: [] };
  const stayers = input.shards.flatMap((shard, index) =>
    input.placement.leaving.includes(shard.id) ? [] : [{ shard, collections: collections[index] ?? [] }],
  );
  const enough = AbortSignal.timeout(CENSUS_MS);
  const signal = AbortSignal.any([scope.attempt.signal, enough]);
  await inParallel(stayers, SHARDS_AT_ONCE, async ({ shard, collections: ofShard }) => {
    // Small ones first, so that a large collection does not keep all others from being read.
    const filled = ofShard.filter(({ count }) => count > 0).sort((a, b) => a.count - b.count);
    try {
      for (const { name } of filled) await countMisplaced(scope, { input, shard, collection: name, signal, census });
    } catch (error) {
      scope.attempt.signal.throwIfAborted();
      if (!enough.aborted) {
        throw refusalOf(error, 'stayer', { url: shard.primary_url, expected: 'list its rows' });
      }
    }
  });
  if (census.misplaced.length === 0) return census.rowsRead;
  const named = census.misplaced.slice(0, NAMED_MAX).map(describe).join('; ');
  const more = census.misplaced.length - NAMED_MAX;
  throw new DomainError(
    'MisplacedPoints',
    `expected every point of shard ${input.placement.leaving.join(', ')} on that shard only, ${census.rowsRead} rows of the others were ` +
      `looked at and show ${named}${more > 0 ? ` and ${more} more` : ''}: run POST /cluster/repair first`,
  );
}

function describe({ shardId, collection, points }: Census['misplaced'][number]): string {
  return `${points} of its points on shard ${shardId} in collection ${collection}`;
}

interface CensusWalk {
  readonly input: DrainPreflightInput;
  readonly shard: Shard;
  readonly collection: string;
  readonly signal: AbortSignal;
  readonly census: Census;
}

/** Counts as it goes, so that what was seen before the time was over counts too. */
async function countMisplaced({ attempt, shards }: ActivityScope, walkOf: CensusWalk): Promise<void> {
  const { input, shard, collection, signal, census } = walkOf;
  const plan = new PlacementPlan(input.placement);
  const found = { shardId: shard.id, collection, points: 0 };
  const ctx: CallContext = { deadlineMs: attempt.deadlineMs, signal };
  const walk = new PointWalk({
    source: shards.ofMove(input, shard.id),
    collection,
    withPayload: false,
    withVector: false,
    from: null,
    ctx,
    absentIsEmpty: true,
  });
  try {
    for (let batch = await walk.next(); batch !== null; batch = await walk.next()) {
      for (const { id } of batch.elements.slice(batch.start)) {
        census.rowsRead += 1;
        plan.locate(id);
        if (!isInSlice(plan, 'receiver', shard.id)) continue;
        if (found.points === 0) census.misplaced.push(found);
        found.points += 1;
      }
      signal.throwIfAborted();
    }
  } finally {
    await walk.suspend();
  }
}
