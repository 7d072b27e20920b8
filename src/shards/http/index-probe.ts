/**
 * Whether a shard's searches see what the shard holds.
 *
 * `index_ready` does not tell. Measured on Quiver 1.1.0: when points come by `points:bulk` to a collection whose index
 * is built, it stays true. Until a rebuild in the background ends, searches answer from the old index, without any of
 * the new points (33,000 points of 64 dimensions, hnsw: 24-33 s, also while clients write). So this searches for a few
 * points that the shard holds by their own vectors.
 */
import { MalformedBodyError, type PointElement } from '../rows/point-stream';
import { paths } from './paths';
import type { CallContext, ShardClient, ShardCollection } from './shard-client';
import type { ShardHttp } from './shard-http';

/** Where in the order of ids the samples are taken, as shares of the collection. */
const SAMPLE_SHARES = [0.13, 0.38, 0.63, 0.88];
const SAMPLES_PER_SHARE = 4;
/** Rows that are read per share where only some points will do. */
const ROWS_PER_SHARE = 256;
const NEIGHBOURS = 10;
/** Approximate indexes miss some; an old index misses nearly all. */
const FOUND_SHARE_MIN = 0.75;
/** A point at this distance, or with this similarity, is the one searched for or its equal. */
const SAME_DISTANCE_MAX = 1e-9;
const SAME_LIKENESS_MIN = 0.9999;

interface Sample {
  readonly id: string;
  readonly vector: readonly number[];
}

/** Under `dot` the nearest neighbour of a vector is often another, longer one, so nothing can be told. */
export function canProbe(collection: ShardCollection): boolean {
  return collection.metric === 'l2' || collection.metric === 'cosine';
}

/** With `isWanted` only points that it accepts; there may be none then. */
export async function takeSamples(
  client: ShardClient,
  info: ShardCollection,
  ctx: CallContext,
  isWanted?: (id: Buffer) => boolean,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const limit = isWanted === undefined ? SAMPLES_PER_SHARE : ROWS_PER_SHARE;
  for (const share of SAMPLE_SHARES) {
    const page = { offset: Math.floor(info.count * share), limit, withPayload: false, withVector: true };
    const enough = samples.length + SAMPLES_PER_SHARE;
    for await (const elements of client.fetchPage(info.name, page, ctx)) {
      const wanted = isWanted === undefined ? elements : elements.filter(({ id }) => isWanted(id));
      samples.push(...wanted.slice(0, enough - samples.length).map(sample));
      if (samples.length === enough) break;
    }
  }
  return samples;
}

/** True when searches find most of the samples. A point that was deleted meanwhile counts as not found. */
export async function findsSamples(
  http: ShardHttp,
  collection: ShardCollection,
  samples: readonly Sample[],
  ctx: CallContext,
): Promise<boolean> {
  let found = 0;
  for (const each of samples) if (await isFound(http, collection, each, ctx)) found += 1;
  return found >= samples.length * FOUND_SHARE_MIN;
}

async function isFound(
  http: ShardHttp,
  collection: ShardCollection,
  sample: Sample,
  ctx: CallContext,
): Promise<boolean> {
  const body = JSON.stringify({ vector: sample.vector, k: NEIGHBOURS });
  const request = { method: 'POST', path: paths.query(collection.name), body, carriesPoints: true } as const;
  const matches = matchesIn(await http.readAnswer(request, ctx));
  return matches.some(
    ({ id, score }) =>
      id === sample.id || (collection.metric === 'l2' ? score <= SAME_DISTANCE_MAX : score >= SAME_LIKENESS_MIN),
  );
}

function sample({ raw }: PointElement): Sample {
  // Rounding does not matter here: nothing of this is written anywhere.
  const { id, vector } = JSON.parse(raw.toString('utf8')) as Sample;
  return { id, vector };
}

function matchesIn(body: Buffer): readonly { readonly id: string; readonly score: number }[] {
  try {
    const { matches } = JSON.parse(body.toString('utf8')) as { matches?: unknown };
    if (Array.isArray(matches)) return matches as { id: string; score: number }[];
  } catch {
    // The error below says so, without what JSON.parse quotes.
  }
  throw new MalformedBodyError('expected a list of matches');
}
