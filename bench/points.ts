/** The points that are moved: the same in every run, made once per shape, and cut into bodies that a shard takes. */
import { PlacementPlan } from '../src/domain/placement-plan';

export interface PointsShape {
  readonly points: number;
  readonly dimensions: number;
}

/** The upsert bodies of one shard. */
export type ShardBodies = readonly Buffer[];

const BODY_BYTES_MAX = 24 * 1024 * 1024;
const BODY_POINTS_MAX = 10_000;
const SHARD_IDS = [0, 1];

export const COLLECTION = 'docs';

export const collectionBody = (dimensions: number): string =>
  JSON.stringify({ name: COLLECTION, dim: dimensions, metric: 'cosine', index: 'hnsw' });

/** Makes all points and puts each on the one of two shards that owns it. */
export function makeBodies(shape: PointsShape): readonly ShardBodies[] {
  const plan = new PlacementPlan({ shards: SHARD_IDS, joining: [], leaving: [] });
  const random = mulberry32(shape.points * 31 + shape.dimensions);
  const builders = SHARD_IDS.map(() => new BodyBuilder());
  for (let index = 0; index < shape.points; index++) {
    const id = `doc-${String(index).padStart(7, '0')}`;
    const vector = Array.from({ length: shape.dimensions }, () => Math.round(random() * 2e6 - 1e6) / 1e6);
    const element = JSON.stringify({ id, vector, payload: { n: index, group: `g${index % 100}` } });
    builders[plan.ownerOf(Buffer.from(id))]?.add(element);
  }
  return builders.map((builder) => builder.end());
}

class BodyBuilder {
  private readonly bodies: Buffer[] = [];
  private elements: string[] = [];
  private bytes = 0;

  add(element: string): void {
    if (this.bytes + element.length > BODY_BYTES_MAX || this.elements.length === BODY_POINTS_MAX) this.cut();
    this.elements.push(element);
    this.bytes += element.length + 1;
  }

  end(): ShardBodies {
    this.cut();
    return this.bodies;
  }

  private cut(): void {
    if (this.elements.length === 0) return;
    this.bodies.push(Buffer.from(`{"points":[${this.elements.join(',')}]}`));
    this.elements = [];
    this.bytes = 0;
  }
}

/** A small generator with a seed: the points are the same on every machine. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
