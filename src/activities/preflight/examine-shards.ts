/**
 * What each shard is like, for somebody who asks what is wrong. A fault is an answer here and never a failure. Nothing is written, but
 * for calls on a collection that nobody has (key-probe.ts). Every look has a deadline, and so has the whole.
 */
import { boundedText } from '../../domain/bounded-text';
import { examined, type ExaminedShards, type SeenShard } from '../../domain/diagnosis';
import { DomainError } from '../../domain/errors';
import { identityRefusal, judgeIdentity } from '../../domain/shard-identity';
import type { Shard } from '../../domain/shard-map';
import type { DiagnosisInput } from '../../contract/messages';
import { scanStopMs } from '../../rows/jobs/plan';
import { whyNotAssumed } from '../../rows/remote/assumed-follower';
import { probeHealth } from '../../shards/diagnosis/health-probe';
import { probeKey } from '../../shards/diagnosis/key-probe';
import { ShardError } from '../../shards/errors';
import type { CallContext, ShardClient } from '../../shards/http/shard-client';
import { readIdentity } from '../../shards/http/shard-identity';
import { ShardGrpc } from '../../shards/stream/shard-grpc';
import { inParallel } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';
import { onceMoreIfCut } from './checks';

const SHARDS_AT_ONCE = 16;
/** Of one look at one address. */
const LOOK_TIMEOUT_MS = 2_000;
/** After that no further shard is asked. Somebody waits for the answer. */
const BEGIN_WITHIN_MS = 5_000;
const PROBLEM_CHARS_MAX = 300;
const FLOAT_BYTES = 4;

export async function examineShards(scope: ActivityScope, input: DiagnosisInput): Promise<ExaminedShards> {
  const { attempt } = scope;
  const endsAtMs = attempt.nowMs() + BEGIN_WITHIN_MS;
  const seen: SeenShard[] = [];
  await inParallel(input.shards, SHARDS_AT_ONCE, async (shard) => {
    if (attempt.nowMs() < endsAtMs) seen.push(await examineShard(scope, input, shard));
  });
  return examined(seen, input.shards.length);
}

async function examineShard(scope: ActivityScope, input: DiagnosisInput, shard: Shard): Promise<SeenShard> {
  const { attempt, shards } = scope;
  // One of its own: what it finds out about leaders is for this look alone.
  const client = shards.patientClient(shard, LOOK_TIMEOUT_MS);
  const { signal } = attempt;
  const [health, key, identity, grpcProblem, size, followers] = await Promise.all([
    probeHealth(shard.primary_url, shards.dispatcher, {
      timeoutMs: LOOK_TIMEOUT_MS,
      signal,
      nowMs: () => attempt.nowMs(),
    }),
    probeKey(shards.http(shard), attempt.readingFor(LOOK_TIMEOUT_MS)),
    lookAtIdentity(scope, { input, shard, client }),
    whyNoGrpc(scope, shards.grpcUrl(shard)),
    sizeOf(scope, client),
    lookAtFollowers(scope, shard, client),
  ]);
  const hasFollower = followers.some(({ problem }) => problem === null);
  const source = hasFollower ? 'follower' : grpcProblem === null ? 'primary' : 'pages';
  return {
    shardId: shard.id,
    problem: health.problem,
    clockSkewMs: health.clockSkewMs,
    key: { ...key, problem: key.problem === null ? null : shown(key.problem) },
    identity,
    grpc: { url: shards.grpcUrl(shard), problem: grpcProblem },
    followers,
    rows: size?.rows ?? null,
    bytes: size?.bytes ?? null,
    source: size === null ? null : source,
    // A follower that stands still stops no client.
    stopMs: size === null ? null : hasFollower ? 0 : scanStopMs(size),
  };
}

async function lookAtIdentity(
  scope: ActivityScope,
  { input, shard, client }: { input: DiagnosisInput; shard: Shard; client: ShardClient },
): Promise<SeenShard['identity']> {
  const expected = { clusterUid: input.uid ?? '', shardId: shard.id, epoch: input.epochs[shard.id] ?? null };
  const looked = await settled(scope, async (ctx) => {
    // What a follower shows may be old.
    await client.findLeader(ctx);
    const seen = await readIdentity(client, ctx);
    const judged = judgeIdentity(expected, seen);
    if (judged === 'same' || judged === 'absent') return { seen: judged, problem: null };
    const where = `shard ${shard.id} (${shard.primary_url})`;
    return { seen: 'other' as const, problem: shown(identityRefusal(judged, { where, expected, seen }).message) };
  });
  return 'value' in looked ? looked.value : { seen: null, problem: looked.problem };
}

async function whyNoGrpc(scope: ActivityScope, url: string): Promise<string | null> {
  const { shards } = scope;
  const grpc = new ShardGrpc({ url, key: shards.key, reach: shards.reach, requestTimeoutMs: LOOK_TIMEOUT_MS });
  try {
    const asked = await settled(scope, (ctx) => grpc.listCollections(ctx));
    return 'value' in asked ? null : asked.problem;
  } finally {
    grpc.close();
  }
}

async function sizeOf(scope: ActivityScope, client: ShardClient): Promise<{ rows: number; bytes: number } | null> {
  const listed = await settled(scope, async (ctx) => {
    await client.findLeader(ctx);
    return client.listCollections(ctx);
  });
  if (!('value' in listed)) return null;
  const rows = listed.value.reduce((sum, { count }) => sum + count, 0);
  const bytes = listed.value.reduce((sum, { count, dim }) => sum + count * dim * FLOAT_BYTES, 0);
  return { rows, bytes };
}

/** Each by itself, although an operation takes the first good one. */
function lookAtFollowers(scope: ActivityScope, shard: Shard, primary: ShardClient): Promise<SeenShard['followers']> {
  const { attempt, shards } = scope;
  return Promise.all(
    shard.replica_urls.map(async (url) => {
      const address = { primary_url: url, replica_urls: [] };
      const follower = shards.patientClient(address, LOOK_TIMEOUT_MS);
      // It uses up a kept-alive connection that the other side has closed.
      await follower.isHealthy(attempt.readingFor(LOOK_TIMEOUT_MS));
      const why = await whyNotAssumed(follower, primary, attempt.readingFor(LOOK_TIMEOUT_MS));
      if (why !== null) return { url, problem: shown(`it ${why}`) };
      return { url, problem: await whyNoGrpc(scope, shards.grpcUrl(address)) };
    }),
  );
}

/** What a look gave, or why it gave nothing. */
async function settled<T>(
  { attempt }: ActivityScope,
  look: (ctx: CallContext) => Promise<T>,
): Promise<{ readonly value: T } | { readonly problem: string }> {
  try {
    return { value: await onceMoreIfCut(attempt.readingFor(LOOK_TIMEOUT_MS), look) };
  } catch (error) {
    if (error instanceof ShardError || error instanceof DomainError) return { problem: shown(error.message) };
    throw error;
  }
}

const shown = (text: string): string => boundedText(text, PROBLEM_CHARS_MAX);
