/**
 * The register check: clients write, delete and re-create points through a router while something happens to the
 * cluster, and afterwards every id must read as it was last acknowledged (INV-3), lie on its owner and nowhere else,
 * byte for byte (INV-6).
 *
 * const check = new RegisterCheck({ routerUrl, key, collections }); await check.prefill(); check.start(); // then let
 * things happen await check.stop(); const report = await check.verify({ shards, placement });
 */
import { Agent } from 'undici';
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { PlacementSpec } from '../../src/domain/shard-map';
import {
  Client,
  judge,
  newCounts,
  pointPath,
  send,
  type ClientCounts,
  type Endpoint,
  type Judgement,
  type OwnedRegister,
} from './register-clients';
import {
  fetchedText,
  idOf,
  idOfPoint,
  isReadableThroughRouter,
  pointsOfPage,
  pointText,
  vectorText,
  type CheckedCollection,
} from './register-content';

export type { CheckedCollection } from './register-content';

export interface RegisterCheckOptions {
  readonly routerUrl: string;
  readonly key: string | null;
  readonly collections: readonly CheckedCollection[];
  readonly clients?: number;
  /** Of all clients together, at most. */
  readonly requestsPerSecond?: number;
  /** Of the points that are there from the beginning, the share that clients change too. */
  readonly changedShare?: number;
  /** Ids per collection that only clients create. */
  readonly newIds?: number;
  readonly seed?: number;
}

/** Where points may be, and what placement says about it. */
export interface VerifyOptions {
  /** Every shard that may hold a point, also one that is no longer in the map. */
  readonly shards: readonly { readonly id: number; readonly url: string }[];
  readonly placement: PlacementSpec;
  /** What is read through the router as well, point by point. Default 'every' point. */
  readonly throughRouter?: 'every' | 'written';
}

export type Fault = Exclude<Judgement, 'right'> | 'misplaced' | 'unknown';

export interface RegisterReport extends Readonly<Record<Fault, number>> {
  /** Reads of clients, while it happened, that showed something else than was acknowledged. */
  readonly wrongReads: number;
  /** Requests of clients that were not acknowledged, by status and reason. */
  readonly refusedWrites: Readonly<Record<string, number>>;
  readonly refusedReads: Readonly<Record<string, number>>;
  /** Ids whose last request was not acknowledged: either state counts as right. */
  readonly unsure: number;
  readonly checked: {
    readonly ids: number;
    readonly throughRouter: number;
    readonly pointsOnShards: number;
    readonly pointsByShard: Readonly<Record<string, number>>;
    readonly acknowledgedWrites: number;
    readonly acknowledgedDeletes: number;
    readonly reads: number;
  };
  /** A few faults, in words. */
  readonly examples: readonly string[];
}

/** Everything that must be 0, whatever died meanwhile. */
export function faultCount(report: RegisterReport): number {
  return FAULTS.reduce((sum, fault) => sum + report[fault], 0) + report.wrongReads;
}

export function refusedCount(refused: Readonly<Record<string, number>>): number {
  return Object.values(refused).reduce((sum, each) => sum + each, 0);
}

const FAULTS: readonly Fault[] = ['lost', 'resurrected', 'stale', 'altered', 'misplaced', 'unknown'];
const EXAMPLES_MAX = 8;
const PREFILL_POINTS = 5_000;
/**
 * An index that is built while there are few points stays ready; one built over all of them takes a shard 20 s and
 * more.
 */
const FIRST_POINTS = 200;
const PAGE_ROWS = 10_000;
const READS_AT_ONCE = 16;

export class RegisterCheck {
  readonly counts: ClientCounts = newCounts();
  private readonly options: Required<RegisterCheckOptions>;
  private readonly agent: Agent;
  private readonly router: Endpoint;
  private readonly owned: OwnedRegister[];
  private running: Promise<unknown> | null = null;
  private isStopping = false;

  constructor(options: RegisterCheckOptions) {
    this.options = { clients: 8, requestsPerSecond: 200, changedShare: 0.2, newIds: 400, seed: 1, ...options };
    this.agent = new Agent({ connections: 64 });
    this.router = { url: options.routerUrl, key: options.key, dispatcher: this.agent };
    this.owned = options.collections.flatMap((collection) =>
      Array.from({ length: collection.points + this.options.newIds }, (_, number) => ({
        register: { collection, number, id: idOf(collection, number) },
        states: [null],
        lastVersion: 0,
        isRetired: false,
        isTouched: false,
      })),
    );
  }

  /**
   * Creates the collections and fills them, through the router. `onPoints` is told how many points are there, and may
   * hold up the next ones.
   */
  async prefill(onPoints: (points: number) => void | Promise<void> = () => undefined): Promise<void> {
    let done = 0;
    for (const collection of this.options.collections) {
      const { name, dim, metric, index } = collection;
      await this.expectOk('POST', '/v1/collections', JSON.stringify({ name, dim, metric, index }));
      const points = this.owned.filter(
        (owned) => owned.register.collection === collection && owned.register.number < collection.points,
      );
      for (let at = 0; at < points.length;) {
        const batch = points.slice(at, at + (at === 0 ? FIRST_POINTS : PREFILL_POINTS));
        const body = `{"points":[${batch.map((owned) => pointText(owned.register, 0)).join(',')}]}`;
        await this.expectOk('POST', `/v1/collections/${name}/points:bulk`, body);
        for (const owned of batch) owned.states = [0];
        if (at === 0) await this.search(batch[0]);
        at += batch.length;
        await onPoints((done += batch.length));
      }
    }
  }

  /**
   * The clients begin, and go on until `stop`. Changes nothing while they run. Ids that `mayTouch` refuses are left
   * alone by all of them.
   */
  start(mayTouch: (id: string) => boolean = () => true): void {
    if (this.running !== null) return;
    const { clients, requestsPerSecond, changedShare, newIds, seed } = this.options;
    this.isStopping = false;
    const every = changedShare === 0 ? Infinity : 1 / changedShare;
    const changing = this.owned.filter(
      ({ register: { collection, number, id } }) =>
        mayTouch(id) && ((number >= collection.points && newIds > 0) || Math.floor(number % every) === 0),
    );
    const everyMs = (1000 * clients) / requestsPerSecond;
    const runs = Array.from({ length: clients }, (_, index) => {
      const owned = changing.filter((_each, at) => at % clients === index);
      const client = new Client({
        endpoint: this.router,
        owned,
        counts: this.counts,
        random: randomFrom(seed + index),
      });
      return client.run(everyMs, () => this.isStopping);
    });
    this.running = Promise.all(runs);
  }

  /** Resolves when the last request has been answered. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.running;
    this.running = null;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.agent.close();
  }

  /** To be called when the clients have stopped. Throws when something cannot be read: unknown is not right (INV-8). */
  async verify(options: VerifyOptions): Promise<RegisterReport> {
    if (this.running !== null) throw new Error('stop the clients before the verification');
    const findings = new Findings();
    const found = new Map<string, FoundPoint[]>();
    const pointsByShard: Record<string, number> = {};
    for (const { name } of this.options.collections) {
      for (const shard of options.shards) {
        const points = await this.readShard(shard.url, name);
        pointsByShard[shard.id] = (pointsByShard[shard.id] ?? 0) + points.length;
        for (const point of points) {
          const key = `${name}\n${idOfPoint(point)}`;
          const sofar = found.get(key);
          if (sofar === undefined) found.set(key, [{ shardId: shard.id, point }]);
          else sofar.push({ shardId: shard.id, point });
        }
      }
    }
    const pointsOnShards = [...found.values()].reduce((sum, each) => sum + each.length, 0);
    this.holdAgainstShards(found, options.placement, findings);
    const throughRouter = await this.holdAgainstRouter(options.throughRouter ?? 'every', findings);
    const { counts } = this;
    return {
      ...findings.counts(),
      wrongReads: counts.wrongReads,
      refusedWrites: { ...counts.refusedWrites },
      refusedReads: { ...counts.refusedReads },
      unsure: this.owned.filter((owned) => owned.states.length > 1).length,
      checked: {
        ids: this.owned.length,
        throughRouter,
        pointsOnShards,
        pointsByShard,
        acknowledgedWrites: counts.pointsWritten,
        acknowledgedDeletes: counts.pointsDeleted,
        reads: counts.reads,
      },
      examples: findings.examples,
    };
  }

  private holdAgainstShards(found: Map<string, FoundPoint[]>, placement: PlacementSpec, findings: Findings): void {
    const plan = new PlacementPlan(placement);
    for (const owned of this.owned) {
      const { register } = owned;
      const key = `${register.collection.name}\n${register.id}`;
      const places = found.get(key) ?? [];
      found.delete(key);
      const owner = plan.ownerOf(Buffer.from(register.id));
      const strays = places.filter((place) => place.shardId !== owner).map((place) => place.shardId);
      if (strays.length > 0)
        findings.add('misplaced', owned, `is on shard ${strays.join(', ')}, its owner is ${owner}`);
      const seen = places.find((place) => place.shardId === owner)?.point ?? null;
      const judgement = judge(seen, owned, (version) => fetchedText(register, version));
      if (judgement !== 'right') findings.add(judgement, owned, `on its owner, shard ${owner}`);
    }
    for (const [key, places] of found) {
      findings.addUnknown(`an id that no client wrote is in ${key.split('\n')[0]} on shard ${places[0]?.shardId}`);
    }
  }

  /** Returns how many ids it read. */
  private async holdAgainstRouter(which: 'every' | 'written', findings: Findings): Promise<number> {
    const wanted = this.owned.filter(
      (owned) => isReadableThroughRouter(owned.register.id) && (which === 'every' || owned.isTouched),
    );
    let next = 0;
    const reader = async (): Promise<void> => {
      for (let owned = wanted[next++]; owned !== undefined; owned = wanted[next++]) {
        const { register } = owned;
        const reply = await send(this.router, 'GET', pointPath(register));
        if (reply.status !== 200 && reply.status !== 404) throw new Error(`the router cannot read: ${reply.status}`);
        const seen = reply.status === 404 ? null : reply.body;
        const judgement = judge(seen, owned, (version) => pointText(register, version));
        if (judgement !== 'right') findings.add(judgement, owned, 'through the router');
      }
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, reader));
    return wanted.length;
  }

  /**
   * All points of a collection as their JSON. None when the shard does not have the collection: then they count as
   * lost.
   */
  private async readShard(url: string, collection: string): Promise<string[]> {
    const shard = { ...this.router, url };
    const points: string[] = [];
    for (;;) {
      const page = JSON.stringify({ offset: points.length, limit: PAGE_ROWS, with_payload: true, with_vector: true });
      const reply = await send(shard, 'POST', `/v1/collections/${collection}/fetch`, page);
      if (reply.status === 404) return [];
      if (reply.status !== 200) throw new Error(`${url} cannot be read: ${reply.status} ${reply.body.slice(0, 200)}`);
      const rows = pointsOfPage(reply.body);
      points.push(...rows);
      if (rows.length < PAGE_ROWS) return points;
    }
  }

  private async search(near: OwnedRegister | undefined): Promise<void> {
    if (near === undefined) return;
    const { register } = near;
    const body = `{"vector":[${vectorText(register, 0)}],"k":1}`;
    await this.expectOk('POST', `/v1/collections/${register.collection.name}/query`, body);
  }

  private async expectOk(method: 'POST', path: string, body: string): Promise<void> {
    const reply = await send(this.router, method, path, body);
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${reply.body.slice(0, 200)}`);
  }
}

interface FoundPoint {
  readonly shardId: number;
  readonly point: string;
}

/** An id counts once per kind of fault, however many ways it was seen in. */
class Findings {
  readonly examples: string[] = [];
  private readonly registers = new Map<Fault, Set<OwnedRegister>>();
  private unknown = 0;

  add(fault: Fault, owned: OwnedRegister, where: string): void {
    const known = this.registers.get(fault) ?? new Set();
    this.registers.set(fault, known.add(owned));
    const { register, states } = owned;
    const acknowledged = states.map((state) => (state === null ? 'gone' : `version ${state}`)).join(' or ');
    this.example(`${fault}: ${register.collection.name} ${register.id} ${where}; acknowledged: ${acknowledged}`);
  }

  addUnknown(what: string): void {
    this.unknown += 1;
    this.example(`unknown: ${what}`);
  }

  counts(): Record<Fault, number> {
    const of = (fault: Fault): number => this.registers.get(fault)?.size ?? 0;
    return {
      lost: of('lost'),
      resurrected: of('resurrected'),
      stale: of('stale'),
      altered: of('altered'),
      misplaced: of('misplaced'),
      unknown: this.unknown,
    };
  }

  private example(text: string): void {
    if (this.examples.length < EXAMPLES_MAX) this.examples.push(text);
  }
}

/** A small generator, so that a run can be repeated by its seed. */
function randomFrom(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
