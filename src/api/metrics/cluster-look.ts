/**
 * Looks at the cluster for the page of metrics.
 *
 * 1. However many scrapes come, there is one look every few seconds: a query of the state, one for each operation that runs
 *    (a few at most), and one of the map unless polls have just read it.
 * 2. Shards are asked for their points more rarely, a few at a time.
 * 3. A scrape waits for a look only so long. After that it is told what is known, and the look goes on for the next one.
 * 4. What could not be read again for a while is unknown (INV-8): old numbers look like a calm cluster.
 */
import type { ClusterState, OperationRecord } from '../../domain/cluster-state';
import type { OperationProgress, SourceProgress } from '../../domain/progress';
import type { Shard } from '../../domain/shard-map';
import type { ClusterClient } from '../../client/cluster-client';
import { Semaphore } from '../../client/calls/semaphore';
import type { MapReader } from '../map/reader';
import { EndTally } from './ended-operations';
import type { Facts, RunningOperation, SeenRouter } from './facts';

const LOOK_EVERY_MS = 5_000;
const POINTS_EVERY_MS = 30_000;
const PATIENCE_MS = 1_000;
const KEPT_MS = 60_000;
const QUERY_MS = 1_000;
/** Operations that are asked. Only checks run beside others. */
const RUNNING_ASKED_MAX = 4;
const SHARDS_ASKED_AT_ONCE = 8;

export interface ClusterLookOptions {
  readonly client: Pick<ClusterClient, 'queryState' | 'queryProgress'>;
  readonly mapReader: Pick<MapReader, 'readMap' | 'lastRead'>;
  /** Points of a shard; null when it does not tell. Must settle within its own deadline. */
  readonly pointsOf: (shard: Shard) => Promise<number | null>;
  readonly routers: { readonly seen: readonly SeenRouter[] };
  readonly witness: { readonly rememberedAgeMs: number | null };
  readonly nowMs?: () => number;
  readonly lookEveryMs?: number;
  readonly pointsEveryMs?: number;
  readonly patienceMs?: number;
}

interface Known<T> {
  readonly value: T;
  readonly atMs: number;
}

export class ClusterLook {
  private readonly options: ClusterLookOptions;
  private readonly ended: EndTally;
  private looking: Promise<void> | null = null;
  private counting: Promise<void> | null = null;
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private countedAtMs = Number.NEGATIVE_INFINITY;
  private state: Known<ClusterState> | null = null;
  private isAnswered = false;
  private isMapFresh = false;
  private running: readonly RunningOperation[] = [];
  private sources: readonly SourceProgress[] = [];
  private points: Known<ReadonlyMap<number, number>> = { value: new Map(), atMs: Number.NEGATIVE_INFINITY };

  constructor(options: ClusterLookOptions) {
    this.options = options;
    this.ended = new EndTally(this.nowMs());
  }

  /** Never rejects, and settles within `patienceMs`. */
  async facts(): Promise<Facts> {
    const { lookEveryMs = LOOK_EVERY_MS, patienceMs = PATIENCE_MS } = this.options;
    if (this.looking === null && this.isDue(this.lookedAtMs, lookEveryMs)) {
      this.lookedAtMs = this.nowMs();
      this.looking = this.look()
        // A scrape that has lost its patience is there for no error any more, and one of nobody ends the process.
        .catch(() => (this.isAnswered = false))
        .then(() => void (this.looking = null));
    }
    if (this.looking !== null) await within(patienceMs, this.looking);
    return this.known();
  }

  private async look(): Promise<void> {
    await Promise.all([this.lookAtMap(), this.lookAtState()]);
    if (this.state === null || !this.isAnswered) return;
    const { operations, map } = this.state.value;
    await Promise.all([this.lookAtOperations(operations), this.countPoints(map.shards)]);
  }

  private async lookAtMap(): Promise<void> {
    const { mapReader, lookEveryMs = LOOK_EVERY_MS } = this.options;
    const last = mapReader.lastRead();
    if (last !== null && last.ageMs < lookEveryMs) this.isMapFresh = true;
    else this.isMapFresh = (await mapReader.readMap()).kind === 'fresh';
  }

  private async lookAtState(): Promise<void> {
    try {
      const value = await this.options.client.queryState();
      this.state = { value, atMs: this.nowMs() };
      this.ended.note(value.operations);
      this.isAnswered = true;
    } catch {
      // Why is told by the calls of people, and by `readyz`.
      this.isAnswered = false;
    }
  }

  /** One that has ended since the last look is asked once more: its last stops are known only at its end. */
  private async lookAtOperations(operations: readonly OperationRecord[]): Promise<void> {
    const before = new Set(this.running.map(({ record }) => record.operationId));
    const asked = operations.filter(({ end, operationId }) => end === null || before.has(operationId));
    const answers = await Promise.all(
      asked.map((record, index) => (index < RUNNING_ASKED_MAX ? this.progressOf(record) : Promise.resolve(null))),
    );
    this.running = asked.flatMap((record, index) =>
      record.end === null ? [{ record, progress: answers[index] ?? null }] : [],
    );
    this.sources = answers.find((progress) => progress?.sources !== undefined)?.sources ?? this.sources;
  }

  private async progressOf({ operationId }: OperationRecord): Promise<OperationProgress | null> {
    try {
      return await this.options.client.queryProgress(operationId, QUERY_MS);
    } catch {
      return null;
    }
  }

  private async countPoints(shards: readonly Shard[]): Promise<void> {
    const { pointsEveryMs = POINTS_EVERY_MS } = this.options;
    if (this.counting === null && this.isDue(this.countedAtMs, pointsEveryMs)) {
      this.countedAtMs = this.nowMs();
      // A shard that hangs must not hold up the next look at the others.
      this.counting = this.count(shards).finally(() => (this.counting = null));
    }
    if (this.counting !== null) await within(this.options.patienceMs ?? PATIENCE_MS, this.counting);
  }

  private async count(shards: readonly Shard[]): Promise<void> {
    const turns = new Semaphore({ runningMax: SHARDS_ASKED_AT_ONCE, waitingMax: shards.length });
    const counted = await Promise.all(
      shards.map(async (shard) => {
        const points = await turns.runInTurn(() => this.options.pointsOf(shard)).catch(() => null);
        return points === null ? [] : [[shard.id, points] as const];
      }),
    );
    this.points = { value: new Map(counted.flat()), atMs: this.nowMs() };
  }

  private known(): Facts {
    const { mapReader, routers, witness, pointsEveryMs = POINTS_EVERY_MS } = this.options;
    const nowMs = this.nowMs();
    const isOld = ({ atMs }: Known<unknown>, keptMs: number): boolean => nowMs - atMs > keptMs;
    const state = this.state === null || isOld(this.state, KEPT_MS) ? null : this.state;
    const isKnown = state !== null;
    return {
      nowMs,
      state: state?.value ?? null,
      stateAgeMs: this.state === null ? null : Math.max(0, nowMs - this.state.atMs),
      isAnswered: this.isAnswered,
      map: mapReader.lastRead(),
      isMapFresh: this.isMapFresh,
      running: isKnown ? this.running : [],
      sources: this.sources,
      points: isOld(this.points, pointsEveryMs + KEPT_MS) ? new Map() : this.points.value,
      routers: routers.seen,
      witnessAgeMs: witness.rememberedAgeMs,
      ended: this.ended,
    };
  }

  private isDue(atMs: number, everyMs: number): boolean {
    // Also when the clock was set back.
    return Math.abs(this.nowMs() - atMs) >= everyMs;
  }

  private nowMs(): number {
    return (this.options.nowMs ?? Date.now)();
  }
}

/** Goes on after `ms` at the latest. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
