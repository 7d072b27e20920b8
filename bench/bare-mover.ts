/**
 * What our copy is compared with: the shortest program that moves the rows of a grow by the same calls. It reads both donors at
 * once, keeps what the joiner will own, and writes it on. It compares nothing, remembers nothing and survives nothing.
 */
import { randomBytes } from 'node:crypto';
import { Slice } from '../src/rows/slice';
import { ShardGrpc, type Row } from '../src/shards/stream/shard-grpc';
import { call, KEY } from './http';
import { COLLECTION, createCollection, DONOR_IDS, JOINER_ID, type Loadable } from './rows';

const FOREVER = { deadlineMs: Number.MAX_SAFE_INTEGER };
const TIMEOUT_MS = 900_000;

export interface BareCopy {
  readonly tookMs: number;
  readonly moved: number;
}

export async function bareCopy(donors: readonly Loadable[], joiner: Loadable): Promise<BareCopy> {
  await createCollection(joiner.url);
  const startedMs = performance.now();
  const moved = await Promise.all(donors.map((donor, id) => copyDonor(donor, joiner, id)));
  return { tookMs: performance.now() - startedMs, moved: moved.reduce((sum, each) => sum + each, 0) };
}

async function copyDonor(donor: Loadable, joiner: Loadable, donorId: number): Promise<number> {
  const slice = new Slice({ shards: [...DONOR_IDS, JOINER_ID], joining: [JOINER_ID], leaving: [] }, donorId);
  const target = clientOf(joiner.grpcUrl);
  let moved = 0;
  let stream = target.upsertStream(COLLECTION, FOREVER);
  for await (const rows of bootstrapOf(donor)) {
    const mine = rows.filter((row) => slice.ownerOf(row.id) === JOINER_ID);
    if (stream.room < mine.length) {
      await stream.end();
      stream = target.upsertStream(COLLECTION, FOREVER);
    }
    await stream.write(mine);
    moved += mine.length;
  }
  await stream.end();
  target.close();
  return moved;
}

/** All rows of the collection. A shard that is idle is made to say that its bootstrap is over. */
async function* bootstrapOf(donor: Loadable): AsyncGenerator<readonly Row[]> {
  const source = clientOf(donor.grpcUrl);
  let end: Promise<unknown> | null = null;
  for await (const events of source.replicate(FOREVER)) {
    end ??= endBootstrap(donor.url);
    for (const event of events) {
      if (event.kind === 'rows' && event.collection === COLLECTION) yield event.rows;
      if (event.kind !== 'bootstrap-end') continue;
      source.close();
      await end;
      return;
    }
  }
}

async function endBootstrap(url: string): Promise<void> {
  const name = `bench-probe-${randomBytes(4).toString('hex')}`;
  await call('POST', `${url}/v1/collections`, JSON.stringify({ name, dim: 1, metric: 'l2', index: 'hnsw' }));
  await call('DELETE', `${url}/v1/collections/${name}`);
}

/** How long a shard stands still for one scan: until the first message of a bootstrap that nobody reads on. */
export async function bareStopMs(donor: Loadable): Promise<number> {
  const source = clientOf(donor.grpcUrl);
  const replication = source.replicate(FOREVER);
  for await (const _first of replication) break;
  source.close();
  return replication.firstMessageMs ?? 0;
}

const clientOf = (url: string): ShardGrpc => new ShardGrpc({ url, key: KEY, requestTimeoutMs: TIMEOUT_MS });
