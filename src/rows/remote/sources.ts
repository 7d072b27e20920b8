/**
 * Where the rows of a shard are read from, best first:
 * 1. the stream of a follower that shows the identity and the epoch: its clients do not notice,
 * 2. the stream of the primary, which stands still for one scan,
 * 3. pages over REST, where no gRPC can be reached: one scan a page.
 */
import { randomBytes } from 'node:crypto';
import { DomainError } from '../../domain/errors';
import { IDENTITY_COLLECTION, isInternalCollection } from '../../domain/shard-identity';
import { ShardError } from '../../shards/errors';
import type { ShardClient } from '../../shards/http/shard-client';
import { confirmIdentity } from '../../shards/http/shard-identity';
import type { StreamEvent } from '../../shards/stream/replication';
import type { ShardGrpc } from '../../shards/stream/shard-grpc';
import type { Row, RowSource, ScanEvent } from '../ports';
import { whyNotAssumed } from './assumed-follower';
import { PageSource } from './page-source';
import type { RemoteClients } from './clients';
import type { RemoteJob } from './remote-job';
import type { ShardTarget } from './target';

const PROBE_TIMEOUT_MS = 3_000;
/** A follower applies what it is sent within milliseconds; one that takes longer is behind, or follows no more. */
const FOLLOWER_PATIENCE_MS = 2_000;
const FOLLOWER_POLL_MS = 50;
/** A shard that is idle says nothing at the end of its cut, so it is made to say something. */
const MARK_EVERY_MS = 3_000;
const MARK_EMPTY_MS = 500;
/** So long without a word behind a mark: whoever is read does not follow its primary. */
const SILENCE_MAX_MS = 60_000;
const BARRIER_ID = 'barrier';
const ALL_POINTS = { offset: 0, limit: 10, withPayload: true, withVector: false };

interface SourceParts {
  readonly target: ShardTarget;
  readonly clients: RemoteClients;
  readonly primary: ShardClient;
}
type FollowerParts = SourceParts & { readonly url: string; readonly grpcUrl: string };

export async function chooseSource(
  job: RemoteJob,
  { target, clients, primary, isPlan }: SourceParts & { isPlan: boolean },
): Promise<RowSource> {
  const stream = (kind: 'follower' | 'primary', grpcUrl: string, reason: string): RowSource =>
    new StreamSource(job, {
      kind,
      grpc: clients.grpc(grpcUrl),
      mark: () => mark(job, primary),
      reason,
      mayBeEmpty: target.identity === null,
    });
  await primary.findLeader(job.reading);
  const missed: string[] = [];
  const followers = target.source === null ? target.replica_urls : [target.source];
  for (const url of followers) {
    const isPrimary = url === primary.leaderUrl;
    const grpcUrl = isPrimary ? leaderGrpcUrl(target, clients, primary) : clients.grpcUrlOf(url);
    const of = { target, clients, primary, url, grpcUrl };
    const problem = isPlan ? await whyNotInPlan(job, of) : await whyNotFollower(job, of);
    if (problem === null) {
      const why = isPlan ? 'it shows the identity of its primary' : 'it is up to date';
      return stream(isPrimary ? 'primary' : 'follower', grpcUrl, target.source === null ? why : 'named');
    }
    missed.push(`${url} ${problem}`);
    if (target.source !== null) {
      throw new DomainError('WrongShard', `expected ${url} to be a follower of shard ${target.id}, it ${problem}`);
    }
  }
  const grpcUrl = leaderGrpcUrl(target, clients, primary);
  const unreachable = await whyUnreachable(job, clients.grpc(grpcUrl));
  const noFollower = missed.length === 0 ? 'it has no follower' : missed.join('; ');
  if (unreachable === null) return stream('primary', grpcUrl, noFollower);
  return new PageSource(job, primary, target.primary_url, `${noFollower}; ${grpcUrl} ${unreachable}`);
}

/** Of the address that leads: a Raft follower may lag behind it. */
export function leaderGrpcUrl(target: ShardTarget, clients: RemoteClients, rest: ShardClient): string {
  const { leaderUrl } = rest;
  if (leaderUrl !== target.primary_url) return clients.grpcUrlOf(leaderUrl);
  return target.grpc_url ?? clients.grpcUrlOf(target.primary_url);
}

/** Null: it may be one. Writes nothing. */
async function whyNotInPlan(job: RemoteJob, of: FollowerParts): Promise<string | null> {
  const { clients, primary, url, grpcUrl } = of;
  const client = clients.rest({ primary_url: url, replica_urls: [] });
  const ctx = { ...job.reading, deadlineMs: Math.min(job.reading.deadlineMs, job.nowMs() + PROBE_TIMEOUT_MS) };
  const problem = await whyNotAssumed(client, primary, ctx);
  job.signal.throwIfAborted();
  return problem ?? (await whyUnreachable(job, clients.grpc(grpcUrl)));
}

/** Null: it has everything that the primary had when this was asked. */
async function whyNotFollower(job: RemoteJob, of: FollowerParts): Promise<string | null> {
  const { target, clients, primary, url, grpcUrl } = of;
  if (target.identity === null) return 'cannot be proven to belong to this shard';
  const client = clients.rest({ primary_url: url, replica_urls: [] });
  const endsAtMs = job.nowMs() + FOLLOWER_PATIENCE_MS;
  let barrier: string | null = null;
  for (;;) {
    const ctx = { ...job.reading, deadlineMs: Math.min(job.reading.deadlineMs, job.nowMs() + PROBE_TIMEOUT_MS) };
    try {
      await confirmIdentity(client, target.identity, ctx);
      if (barrier === null) {
        barrier = randomBytes(8).toString('hex');
        const point = barrierPoint(barrier);
        await job.write((ctx) => primary.upsert(IDENTITY_COLLECTION, [point], ctx));
      }
      if (await showsBarrier(client, barrier, ctx)) return await whyUnreachable(job, clients.grpc(grpcUrl));
      if (job.nowMs() >= endsAtMs)
        return 'does not show what was just written to its primary, so it is behind or follows no more';
    } catch (error) {
      job.signal.throwIfAborted();
      if (error instanceof ShardError) return `cannot be read (${error.code})`;
      if (!(error instanceof DomainError)) throw error;
      if (error.code !== 'ShardLostData') return `shows another identity (${error.code})`;
      if (job.nowMs() >= endsAtMs)
        return 'does not show the epoch of this operation, so it is behind or follows no more';
    }
    await job.sleep(FOLLOWER_POLL_MS);
  }
}

/**
 * The epoch was written when the operation began, and a follower may have stopped to follow since. So something is
 * written before each scan. Two scans of one shard at once may take each other's barrier away: then the primary is read.
 */
export function barrierPoint(barrier: string): Buffer {
  return Buffer.from(`{"id":"${BARRIER_ID}","vector":[0],"payload":{"barrier":"${barrier}"}}`);
}

async function showsBarrier(follower: ShardClient, barrier: string, ctx: RemoteJob['reading']): Promise<boolean> {
  for await (const batch of follower.fetchPage(IDENTITY_COLLECTION, ALL_POINTS, ctx)) {
    for (const { id, raw } of batch) if (id.toString() === BARRIER_ID && raw.includes(barrier)) return true;
  }
  return false;
}

async function whyUnreachable(job: RemoteJob, grpc: ShardGrpc): Promise<string | null> {
  try {
    const deadlineMs = Math.min(job.reading.deadlineMs, job.nowMs() + PROBE_TIMEOUT_MS);
    await grpc.listCollections({ ...job.reading, deadlineMs });
    return null;
  } catch (error) {
    job.signal.throwIfAborted();
    if (error instanceof ShardError) return `does not answer over gRPC (${error.code})`;
    throw error;
  }
}

/** A change that nobody sees as data. A shard that has no identity gets a collection for a moment. */
export async function mark(job: RemoteJob, primary: ShardClient, text = randomBytes(8).toString('hex')): Promise<void> {
  const point = Buffer.from(`{"id":"mark","vector":[0],"payload":{"mark":"${text}"}}`);
  await job.write(async (ctx) => {
    try {
      await primary.upsert(IDENTITY_COLLECTION, [point], ctx);
    } catch (error) {
      if (!(error instanceof ShardError) || error.code !== 'NotFound') throw error;
      const name = `coordinator-probe-${text}`;
      await primary.createCollection(JSON.stringify({ name, dim: 1, metric: 'l2', index: 'hnsw' }), ctx);
      await primary.dropCollection(name, ctx);
    }
  });
}

class StreamSource implements RowSource {
  readonly kind: 'follower' | 'primary';
  readonly url: string;
  readonly reason: string;
  readonly #job: RemoteJob;
  readonly #grpc: ShardGrpc;
  readonly #mark: () => Promise<void>;
  readonly #mayBeEmpty: boolean;

  constructor(
    job: RemoteJob,
    of: {
      kind: 'follower' | 'primary';
      grpc: ShardGrpc;
      mark: () => Promise<void>;
      reason: string;
      mayBeEmpty: boolean;
    },
  ) {
    this.#job = job;
    this.kind = of.kind;
    this.url = of.grpc.url;
    this.reason = of.reason;
    this.#grpc = of.grpc;
    this.#mark = of.mark;
    this.#mayBeEmpty = of.mayBeEmpty;
  }

  async *scan(signal: AbortSignal): AsyncGenerator<ScanEvent> {
    // The tail outlives the job that began the scan, so only `signal` ends it.
    const silence = new AbortController();
    const replication = this.#grpc.replicate({
      deadlineMs: Number.MAX_SAFE_INTEGER,
      trace: this.#job.reading.trace,
      signal: AbortSignal.any([signal, silence.signal]),
    });
    let isStarted = false;
    let marker: NodeJS.Timeout | undefined;
    let quietSinceMs = this.#job.nowMs();
    let isConsumerBusy = false;
    const markAgain = (): void => {
      if (!isConsumerBusy && this.#job.nowMs() - quietSinceMs > SILENCE_MAX_MS) silence.abort(silent(this.url));
      // A mark that fails is made again; a shard that takes none ends the scan by its silence.
      void this.#mark().catch(() => undefined);
    };
    // A shard that holds nothing, not even an identity, would never send a first message.
    const first = this.#mayBeEmpty ? setTimeout(markAgain, MARK_EMPTY_MS) : undefined;
    try {
      for await (const events of replication) {
        clearTimeout(first);
        quietSinceMs = this.#job.nowMs();
        if (!isStarted) {
          isStarted = true;
          yield { kind: 'started', stopMs: replication.firstMessageMs ?? 0 };
          markAgain();
          marker = setInterval(markAgain, MARK_EVERY_MS);
        }
        for (const event of events) {
          if (event.kind === 'bootstrap-end') clearInterval(marker);
          const told = scanEvent(event);
          // A consumer that is busy, or slowed down, does not let the shard be silent.
          isConsumerBusy = true;
          if (told !== null) yield told;
          isConsumerBusy = false;
        }
        quietSinceMs = this.#job.nowMs();
      }
    } finally {
      clearTimeout(first);
      clearInterval(marker);
    }
  }
}

function scanEvent(event: StreamEvent): ScanEvent | null {
  switch (event.kind) {
    case 'rows':
      if (isInternalCollection(event.collection)) return null;
      return { kind: 'rows', collection: event.collection, rows: event.rows };
    case 'bootstrap-end':
      return { kind: 'cut-ended' };
    case 'tail-upsert':
      if (isInternalCollection(event.collection)) return barrierOf(event.row);
      return { kind: 'changed', collection: event.collection, id: Buffer.from(event.row.id), isDelete: false };
    case 'tail-delete':
      if (isInternalCollection(event.collection)) return null;
      return { kind: 'changed', collection: event.collection, id: Buffer.from(event.id), isDelete: true };
    case 'tail-create':
    case 'tail-drop': {
      if (isInternalCollection(event.collection)) return null;
      const kind = event.kind === 'tail-create' ? 'collection-created' : 'collection-dropped';
      return { kind, collection: event.collection };
    }
    case 'tail-lost':
      return { kind: 'tail-lost' };
    case 'collection':
      return null;
  }
}

function barrierOf({ id, payload }: Row): ScanEvent | null {
  if (id.toString() !== BARRIER_ID) return null;
  const { barrier } = JSON.parse(payload.toString()) as { barrier?: unknown };
  return typeof barrier === 'string' ? { kind: 'barrier', barrier } : null;
}

function silent(url: string): ShardError {
  return new ShardError({
    code: 'TimedOut',
    method: 'GRPC',
    shardUrl: url,
    path: '/quiver.v1.Quiver/Replicate',
    status: null,
    reason: `expected the end of its rows, it said nothing for ${SILENCE_MAX_MS} ms`,
  });
}
