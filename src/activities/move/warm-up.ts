import { PlacementPlan } from '../../domain/placement-plan';
import type { Shard } from '../../domain/shard-map';
import { ShardError, WAITING_HELPS } from '../../shards/errors';
import { canProbe, findsSamples, takeSamples } from '../../shards/http/index-probe';
import { MalformedBodyError } from '../../shards/rows/point-stream';
import type { CoordinatorActivities } from '../../contract/activities';
import type { Move } from '../../contract/move';
import { inParallel } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';
import { isReceived } from '../../rows/slice';

const POLL_INTERVAL_MS = 250;
/** To take samples, the shard reads the whole collection. */
const PROBE_INTERVAL_MS = 2_000;
/** Searches under way at once over all receivers. Each may keep a core of its shard busy. */
const BUILDS_AT_ONCE = 4;

type WarmUpInput = Parameters<CoordinatorActivities['warmUp']>[0];
type WarmUpResult = Awaited<ReturnType<CoordinatorActivities['warmUp']>>;

/**
 * A search makes a shard build its index, and the answer comes when the index is ready. So one search per collection
 * may take all the time there is. Meanwhile this asks for `index_ready`.
 */
export async function warmUp(scope: ActivityScope, input: WarmUpInput): Promise<WarmUpResult> {
  const { attempt } = scope;
  const endsAtMs = Math.min(attempt.nowMs() + input.patienceMs, attempt.deadlineMs);
  const notReady = new Set<string>();
  const notKnown = new Set<string>();
  const builds = input.receivers.flatMap((receiver) =>
    input.collections.map((collection) => ({ receiver, collection })),
  );
  await inParallel(builds, BUILDS_AT_ONCE, async (build) => {
    try {
      const isReady = await becomesReady(scope, { ...build, endsAtMs });
      const isDone =
        isReady && (!input.mustFind || (await becomesFindable(scope, { ...build, endsAtMs }, input.slice)));
      if (!isDone) notReady.add(build.collection);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      notKnown.add(build.collection);
    }
  });
  if (notKnown.size === 0) return { notReady: [...notReady] };
  return { notReady: [...notReady], notKnown: [...notKnown] };
}

/**
 * The shard does not let this collection be searched, or not be read. Then nobody can know of its index, and waiting
 * for it would never end. A key that is refused is another matter: all steps need it.
 */
function isRefusal(error: unknown): error is Error {
  if (error instanceof MalformedBodyError) return true;
  return error instanceof ShardError && !WAITING_HELPS[error.code];
}

interface Build {
  readonly receiver: Shard;
  readonly collection: string;
  readonly endsAtMs: number;
}

/** A collection that is gone has nothing left to be ready. */
async function becomesReady({ attempt, shards }: ActivityScope, build: Build): Promise<boolean> {
  const { receiver, collection, endsAtMs } = build;
  const client = shards.client(receiver);
  let search: Promise<void> | null = null;
  const refusals: Error[] = [];
  const enough = new AbortController();
  for (;;) {
    const info = await client.getCollection(collection, attempt.reading);
    const leftMs = endsAtMs - attempt.nowMs();
    if (info === null || info.index_ready || leftMs <= 0) {
      // The search's answer is not awaited: while clients write, the search that began the build may go unanswered
      // although others are.
      enough.abort();
      await search;
      return info?.index_ready ?? true;
    }
    const building = attempt.readingFor(leftMs);
    // With a time-out of its own, because this one call is meant to take long. `index_ready` says whether it came to
    // anything.
    search ??= shards
      .patientClient(receiver, leftMs)
      .search(collection, info.dim, { ...building, signal: AbortSignal.any([attempt.signal, enough.signal]) })
      .catch((error: unknown) => {
        if (isRefusal(error)) refusals.push(error);
      })
      .finally(() => {
        search = null;
      });
    await attempt.sleep(Math.min(POLL_INTERVAL_MS, leftMs));
    if (refusals[0] !== undefined) throw refusals[0];
  }
}

/**
 * See index-probe.ts. Samples are taken again each time, because clients may have deleted or changed them. With a slice
 * the samples are of that slice: points that a receiver held before are found whether its index is up to date or not.
 */
async function becomesFindable(
  { attempt, shards }: ActivityScope,
  build: Build,
  slice: Move | undefined,
): Promise<boolean> {
  const { receiver, collection, endsAtMs } = build;
  const client = shards.client(receiver);
  const isWanted = slice && ofSlice(slice, receiver.id);
  for (;;) {
    const info = await client.getCollection(collection, attempt.reading);
    if (info === null || info.count === 0 || !canProbe(info)) return true;
    const samples = await takeSamples(client, info, attempt.reading, isWanted);
    if (await findsSamples(shards.http(receiver), info, samples, attempt.reading)) return true;
    const leftMs = endsAtMs - attempt.nowMs();
    if (leftMs <= 0) return false;
    await attempt.sleep(Math.min(PROBE_INTERVAL_MS, leftMs));
  }
}

function ofSlice({ placement }: Move, receiverId: number): (id: Buffer) => boolean {
  const plan = new PlacementPlan(placement);
  return (id) => isReceived(plan, id, receiverId);
}
