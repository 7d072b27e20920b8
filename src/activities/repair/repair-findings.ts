/**
 * Repairs points on shards that do not own them: leaves them alone for a settle time, looks again, and acts.
 *
 *  1. The holders are asked again, then the owner. A copy that is gone by now is no finding.
 *  2. The owner holds the point: its value wins, and the copies are removed. The owner lacks it: it gets what the
 *     holders agree on, or what the preferred holder has, and is then read. Else all is left as it is.
 *  3. Copies are removed only of points that the owner showed in this same attempt (INV-5).
 *
 * A client may write the point between the last look at the owner and the write that follows, and is then overwritten.
 * Quiver has no conditional write, so this window can only be kept short: a few points at a time, the owner asked last.
 */
import type { Finding, Holder } from '../../domain/findings';
import type { ShardClient } from '../../shards/http/shard-client';
import { isNotFound } from '../collections/presence';
import type { CompareInput } from '../../contract/repair';
import { collectionInFlux } from '../frame/failures';
import type { FindingLedger } from './finding-ledger';
import type { HolderStream } from '../rows/holder-merge';
import { inParallel, LOOKS_IN_FLIGHT } from '../frame/in-parallel';
import { decide, findingsOf, type Copy } from './judge-point';
import { PacedDelete } from '../rows/paced-delete';
import type { ActivityScope } from '../frame/run-activity';
import { cutToBodies } from '../rows/slice-writer';

/** A point on shards that do not own it. */
export interface Misplaced {
  readonly id: Buffer;
  readonly ownerId: number;
  /** All holders but the owner, and where the point was seen on each. */
  readonly holders: readonly { readonly stream: HolderStream; readonly offset: number }[];
}

type RepairingInput = CompareInput & { readonly mend: NonNullable<CompareInput['mend']> };

/** Points that are looked at together and written together, with nothing in between. */
const POINTS_AT_ONCE = 8;
const OWNERS_AT_ONCE = 8;
/**
 * Points whose copies are removed together. An attempt that dies before that leaves at most this many copies beside
 * equal ones.
 */
const POINTS_PER_REMOVAL = 64;

interface Removal {
  readonly id: Buffer;
  readonly finding: Finding;
}

/** A point as its holders, and then its owner, answered just now. */
interface Look {
  readonly point: Misplaced;
  readonly copies: readonly (Copy & { readonly stream: HolderStream; readonly offset: number })[];
  owned: Buffer | null;
}

export class FindingRepair {
  readonly #scope: ActivityScope;
  readonly #input: RepairingInput;
  readonly #owners: ReadonlyMap<number, HolderStream>;
  readonly #ledger: FindingLedger;
  readonly #deletes = new Map<Holder, PacedDelete>();
  #removals = new Map<HolderStream, Removal[]>();

  constructor(
    scope: ActivityScope,
    options: {
      readonly input: RepairingInput;
      readonly owners: ReadonlyMap<number, HolderStream>;
      readonly ledger: FindingLedger;
    },
  ) {
    this.#scope = scope;
    this.#input = options.input;
    this.#owners = options.owners;
    this.#ledger = options.ledger;
  }

  async repair(misplaced: readonly Misplaced[]): Promise<void> {
    const { attempt } = this.#scope;
    await attempt.sleep(this.#input.mend.settleMs);
    for (let start = 0; start < misplaced.length; start += POINTS_PER_REMOVAL) {
      await this.#repairSome(misplaced.slice(start, start + POINTS_PER_REMOVAL));
    }
  }

  async #repairSome(points: readonly Misplaced[]): Promise<void> {
    this.#removals = new Map();
    for (let start = 0; start < points.length; start += POINTS_AT_ONCE) {
      await this.#repairFew(points.slice(start, start + POINTS_AT_ONCE));
    }
    // One after the other, so that the count at a safe point covers all that was written up to there.
    for (const [stream, removals] of this.#removals) await this.#remove(stream, removals);
  }

  async #repairFew(points: readonly Misplaced[]): Promise<void> {
    const looks = await this.#look(points);
    const moves: { look: Look; raw: Buffer }[] = [];
    for (const look of looks) {
      const decision = decide(look.owned, look.copies, this.#input.mend.prefer);
      if (decision.kind === 'move') moves.push({ look, raw: decision.raw });
      else if (decision.kind === 'remove') this.#queueRemovals(look);
      else this.#leave(look);
    }
    if (moves.length === 0) return;
    for (const look of await this.#move(moves)) this.#queueRemovals(look);
  }

  /** The owner is asked last, because its answer decides. Points whose copies are all gone are left out. */
  async #look(points: readonly Misplaced[]): Promise<Look[]> {
    const looks = points.map((point) => ({
      point,
      copies: [] as Look['copies'][number][],
      owned: null as Buffer | null,
    }));
    const questions = looks.flatMap((look) => look.point.holders.map((holder) => ({ look, ...holder })));
    await inParallel(questions, LOOKS_IN_FLIGHT, async ({ look, stream, offset }) => {
      const raw = await this.#pointOn(this.#scope.shards.client(stream.address), look.point.id);
      if (raw !== null) look.copies.push({ holder: stream.holder, raw, stream, offset });
    });
    const left = looks.filter((look) => look.copies.length > 0);
    await inParallel(left, LOOKS_IN_FLIGHT, async (look) => {
      look.owned = await this.#pointOn(this.#owner(look.point.ownerId), look.point.id);
    });
    return left;
  }

  /** Returns those that the owner then showed. A client has deleted any other at once: the next pass looks at it. */
  async #move(moves: readonly { look: Look; raw: Buffer }[]): Promise<Look[]> {
    const { attempt } = this.#scope;
    const { collection } = this.#input;
    const ownerIds = [...new Set(moves.map(({ look }) => look.point.ownerId))];
    await inParallel(ownerIds, OWNERS_AT_ONCE, async (ownerId) => {
      const ofOwner = moves.filter(({ look }) => look.point.ownerId === ownerId);
      for (const body of cutToBodies(ofOwner.map(({ raw }) => raw))) {
        await this.#orInFlux(attempt.write((ctx) => this.#owner(ownerId).upsert(collection, body, ctx)));
        this.#ledger.moved(body.length);
      }
    });
    attempt.reach(this.#ledger.progress());
    const held: Look[] = [];
    await inParallel(moves, LOOKS_IN_FLIGHT, async ({ look }) => {
      const { id, ownerId } = look.point;
      if ((await this.#pointOn(this.#owner(ownerId), id)) === null) return this.#stay(look);
      this.#owners.get(ownerId)?.stays(id);
      this.#owners.get(ownerId)?.rowsRemoved(-1);
      held.push(look);
    });
    return held;
  }

  #queueRemovals(look: Look): void {
    const findings = findingsOf(look.owned, look.copies);
    look.copies.forEach(({ stream }, index) => {
      const removal = { id: look.point.id, finding: findings[index] ?? 'agreeing' };
      const known = this.#removals.get(stream);
      if (known === undefined) this.#removals.set(stream, [removal]);
      else known.push(removal);
    });
  }

  #leave(look: Look): void {
    const { collection } = this.#input;
    const findings = findingsOf(look.owned, look.copies);
    look.copies.forEach(({ holder, offset }, index) => {
      this.#ledger.sawFinding({ collection, finding: findings[index] ?? 'conflicting', holder, offset });
    });
    this.#stay(look);
  }

  #stay(look: Look): void {
    for (const { stream } of look.copies) stream.stays(look.point.id);
  }

  async #remove(stream: HolderStream, removals: readonly Removal[]): Promise<void> {
    const ids = removals.map(({ id }) => id);
    try {
      await this.#deletesOn(stream).delete(ids, (points) => {
        this.#ledger.removed(stream.holder, points);
        stream.rowsRemoved(points);
      });
    } catch (error) {
      // A client dropped it meanwhile: nothing is left of it.
      if (!isNotFound(error)) throw error;
    }
    for (const { finding } of removals) this.#ledger.repairedFinding(stream.holder, finding);
    this.#scope.attempt.reach(this.#ledger.progress());
  }

  #deletesOn(stream: HolderStream): PacedDelete {
    const known = this.#deletes.get(stream.holder);
    if (known !== undefined) return known;
    const { attempt, shards } = this.#scope;
    const deletes = new PacedDelete(attempt, shards.client(stream.address), this.#input.collection);
    this.#deletes.set(stream.holder, deletes);
    return deletes;
  }

  #owner(ownerId: number): ShardClient {
    return this.#scope.shards.ofMove(this.#input, ownerId);
  }

  /** A shard that lacks the collection holds nothing of it. A shard that does not answer fails the attempt (INV-8). */
  async #pointOn(shard: ShardClient, id: Buffer): Promise<Buffer | null> {
    try {
      return await shard.getPoint(this.#input.collection, id, this.#scope.attempt.reading);
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  async #orInFlux<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw collectionInFlux(this.#input.collection, 'the owner of some of its points lacks it');
    }
  }
}
