import { DIFFERENCES_MAX } from '../../domain/limits';
import { PlacementPlan } from '../../domain/placement-plan';
import { PointWalk } from '../../shards/rows/point-walk';
import type { ShardClient } from '../../shards/http/shard-client';
import { isNotFound, pointIfAny } from '../collections/presence';
import type { CoordinatorActivities } from '../../contract/activities';
import { findLeaders } from '../frame/leaders';
import { inParallel, LOOKS_IN_FLIGHT } from '../frame/in-parallel';
import { PacedDelete } from '../rows/paced-delete';
import type { ActivityScope } from '../frame/run-activity';

/**
 * After this many points that their owners lack, the leaver will not become empty. The rest is kept without a question
 * to the owners.
 */
const MISSING_MAX = 2_000;
/** A late write may lie behind a walk. */
const WALKS_MAX = 3;

type EmptyInput = Parameters<CoordinatorActivities['emptyLeaver']>[0];
type EmptyResult = Awaited<ReturnType<CoordinatorActivities['emptyLeaver']>>;

/** What a heartbeat carries. Every walk counts again what it keeps. */
type EmptyProgress = Pick<EmptyResult, 'removed' | 'collectionsDropped'>;

/**
 * The end of a drain: nothing may stay on the leaver that it could bring back when it is used again. Its slice is
 * dropped by now, except for kept points. It may also hold points that never were its own. INV-5, for each of these
 * points:
 * - It goes when its owner among the staying shards holds it.
 * - It stays when its owner lacks it, also when asked again after the settle time.
 * - When its owner does not answer, the attempt fails (INV-8).
 *
 * A collection that is empty then goes.
 *
 * Called when the leaver is out of the map and no router writes to it. What is gone is not found again, so another call
 * continues one that ran out of time.
 */
export async function emptyLeaver(scope: ActivityScope, input: EmptyInput): Promise<EmptyResult> {
  const { attempt, shards } = scope;
  await findLeaders(scope, [input.leaver, ...input.shards]);
  const leaver = shards.client(input.leaver);
  const emptying = new Emptying(scope, input, leaver);
  for (const { name } of await leaver.listCollections(attempt.reading)) {
    if (emptying.isTimeToPause) return emptying.result(false);
    if (!(await emptying.empty(name))) return emptying.result(false);
  }
  return emptying.result(true);
}

interface Leftover {
  readonly id: Buffer;
  readonly ownerId: number;
}

class Emptying {
  readonly #scope: ActivityScope;
  readonly #input: EmptyInput;
  readonly #leaver: ShardClient;
  readonly #plan: PlacementPlan;
  #removed: number;
  #collectionsDropped: number;
  #hasRemoved = false;
  #kept = 0;
  #missing = 0;

  constructor(scope: ActivityScope, input: EmptyInput, leaver: ShardClient) {
    const reached = scope.attempt.reached as EmptyProgress | null;
    this.#scope = scope;
    this.#input = input;
    this.#leaver = leaver;
    this.#plan = new PlacementPlan(input.placement);
    this.#removed = reached?.removed ?? 0;
    this.#collectionsDropped = reached?.collectionsDropped ?? 0;
  }

  /** Pause only after something was removed. Else every call would walk to the same place. */
  get isTimeToPause(): boolean {
    return this.#scope.attempt.isTimeToPause && this.#hasRemoved;
  }

  result(done: boolean): EmptyResult {
    const { lateWritesUntilMs } = this.#scope.attempt;
    return {
      done,
      removed: this.#removed,
      kept: this.#kept,
      collectionsDropped: this.#collectionsDropped,
      lateWritesUntilMs,
    };
  }

  /** False: it is time to stop. */
  async empty(collection: string): Promise<boolean> {
    const { attempt } = this.#scope;
    for (let walk = 1; ; walk++) {
      const kept = await this.#walk(collection);
      if (kept === 'paused') return false;
      const left = await this.#leaver.getCollection(collection, attempt.reading);
      if (left === null) return true;
      if (left.count === 0) break;
      if (left.count > kept && walk < WALKS_MAX) continue;
      this.#kept += left.count;
      return true;
    }
    if (await attempt.write((ctx) => this.#leaver.dropCollection(collection, ctx))) this.#collectionsDropped += 1;
    this.#reached();
    return true;
  }

  /** How many points it left in place. */
  async #walk(collection: string): Promise<number | 'paused'> {
    const { attempt } = this.#scope;
    const walk = new PointWalk({
      source: this.#leaver,
      collection,
      withPayload: false,
      withVector: false,
      from: null,
      ctx: attempt.reading,
      absentIsEmpty: true,
    });
    const deletes = new PacedDelete(attempt, this.#leaver, collection);
    let kept = 0;
    try {
      for (let batch = await walk.next(); batch !== null; batch = await walk.next()) {
        const rows = batch.elements.slice(batch.start).map(({ id }) => ({ id, ownerId: this.#plan.ownerOf(id) }));
        for (let start = 0; start < rows.length; start += DIFFERENCES_MAX) {
          const some = rows.slice(start, start + DIFFERENCES_MAX);
          kept += await this.#removeHeld(collection, some, (ids) =>
            deletes.delete(ids, (points) => {
              walk.rowsRemoved(points);
              this.#removed += points;
            }),
          );
          if (this.isTimeToPause) return 'paused';
        }
      }
      return kept;
    } catch (error) {
      // Dropped by hand meanwhile: nothing is left of it.
      if (isNotFound(error)) return kept;
      throw error;
    } finally {
      await walk.suspend();
    }
  }

  /** Returns how many rows it left in place. */
  async #removeHeld(
    collection: string,
    rows: readonly Leftover[],
    remove: (ids: readonly Buffer[]) => Promise<void>,
  ): Promise<number> {
    if (this.#missing >= MISSING_MAX) return rows.length;
    const look = async (at: readonly Leftover[]): Promise<readonly Leftover[]> => {
      const { held, missing } = await this.#askOwners(collection, at);
      if (held.length === 0) return missing;
      await remove(held);
      this.#reached();
      return missing;
    };
    let missing = await look(rows);
    if (missing.length > 0) {
      await this.#scope.attempt.sleep(this.#input.settleMs);
      missing = await look(missing);
    }
    this.#missing += missing.length;
    return missing.length;
  }

  async #askOwners(
    collection: string,
    rows: readonly Leftover[],
  ): Promise<{ held: readonly Buffer[]; missing: readonly Leftover[] }> {
    const { attempt, shards } = this.#scope;
    const held: Buffer[] = [];
    const missing: Leftover[] = [];
    await inParallel(rows, LOOKS_IN_FLIGHT, async (row) => {
      const owner = shards.ofMove(this.#input, row.ownerId);
      const point = await pointIfAny(owner, collection, row.id, attempt.reading);
      if (point === null) missing.push(row);
      else held.push(row.id);
    });
    return { held, missing };
  }

  #reached(): void {
    this.#hasRemoved = true;
    const progress: EmptyProgress = { removed: this.#removed, collectionsDropped: this.#collectionsDropped };
    this.#scope.attempt.reach(progress);
  }
}
