/** One run: what its seed says, from the first write to the last check. */
import { clusterWorkflowId, operationIdOf, operationWorkflowId } from '../../../src/contract/ids';
import type { OperationInput } from '../../../src/contract/messages';
import type { OperationSettings } from '../../../src/contract/requests';
import { seedState } from '../../../src/domain/cluster-state';
import { recoveryKey } from '../../../src/domain/lock-transitions';
import { PlacementPlan } from '../../../src/domain/placement-plan';
import type { OperationProgress } from '../../../src/domain/progress';
import { cluster } from '../../../src/workflows/cluster';
import { drain } from '../../../src/workflows/drain';
import { grow } from '../../../src/workflows/grow';
import { recover } from '../../../src/workflows/recover';
import { check, type Verdict } from './checks';
import { Faults } from './faults';
import { scenarioOf, type OperationPlan, type Scenario } from './scenario';
import type { Workflow } from './runtime/server';
import { Clients, COLLECTIONS } from './world/clients';
import { Random } from './world/random';
import { CLUSTER, World } from './world/world';
import type { SimShard } from './world/shard';

/** Nothing that can end takes longer. */
const STUCK_MS = 15 * 60_000;
const DEAD_SEED = 'http://127.0.0.1:9';

let tellWorld: (world: World) => void = () => undefined;

/** The replaced modules ask which world they are in. */
export function beginWith(tell: (world: World) => void): void {
  tellWorld = tell;
}

export interface RunResult extends Verdict {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly trace: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
  /** How each operation ended, in words. */
  readonly ends: readonly string[];
  readonly acknowledged: number;
}

export async function runSeed(seed: number, { isTraced = false } = {}): Promise<RunResult> {
  const scenario = scenarioOf(seed);
  const world = new World(new Random(seed ^ 0x2545f491), scenario.chances, isTraced);
  tellWorld(world);
  const uninstall = world.time.install();
  try {
    return await new Run(scenario, world).run();
  } finally {
    uninstall();
  }
}

class Run {
  readonly #scenario: Scenario;
  readonly #world: World;
  readonly #members: SimShard[] = [];
  readonly #joiners: SimShard[] = [];
  readonly #clients: Clients;
  readonly #operations: Workflow[] = [];
  readonly #broken: string[] = [];
  #recovery: Workflow | null = null;
  #isOver = false;

  constructor(scenario: Scenario, world: World) {
    this.#scenario = scenario;
    this.#world = world;
    this.#clients = new Clients(world, scenario);
  }

  async run(): Promise<RunResult> {
    const { time } = this.#world;
    this.#build();
    const story = this.#story();
    let failure: unknown = null;
    story.catch((error: unknown) => {
      failure = error;
      this.#isOver = true;
    });
    const isDone = await time.run(() => this.#isOver, time.nowMs + STUCK_MS);
    if (failure !== null) throw failure instanceof Error ? failure : new Error('the story failed without an error');
    if (!isDone) this.#broken.push(`stuck: ${this.#whatWaits()}`);
    return this.#result();
  }

  // ---- The cluster ----

  #build(): void {
    const { shards, routers, workers, followers, seeds, scanMicrosPerRow, tailChangesMax, operations } = this.#scenario;
    const world = this.#world;
    for (let index = 0; index < shards; index++) this.#members.push(this.#addShard(`s${index}`, true));
    const plan = new PlacementPlan({ shards: this.#members.map((_shard, id) => id), joining: [], leaving: [] });
    this.#clients.prefill(({ collection }, row) => {
      this.#members[plan.ownerOf(row.id)]!.upsert(collection, [row]);
    }, 0.7);
    const joiners = operations.reduce((sum, each) => sum + (each.kind === 'grow' ? each.joiners : 0), 0);
    for (let index = 0; index < joiners; index++) {
      this.#joiners.push(this.#addShard(`j${index}`, this.#scenario.joinerHasCollections));
    }
    for (const shard of [...this.#members, ...this.#joiners])
      Object.assign(shard, { scanMicrosPerRow, tailChangesMax });
    if (followers !== 'none') {
      for (const member of this.#members) {
        const follower = world.addFollower(`${member.name}-f`, member);
        follower.lagMs = followers === 'lagging' ? world.random.between(100, 5_000) : 2;
        if (followers === 'frozen') {
          time(world, world.random.between(0, 15_000), () => (follower.isFrozen = true));
        }
        Object.assign(follower, { scanMicrosPerRow, tailChangesMax });
      }
    }
    const addresses = this.#members.map((shard) => this.#addressOf(shard));
    world.server.start(clusterWorkflowId(CLUSTER), cluster, {
      cluster: CLUSTER,
      state: seedState(addresses),
    });
    world.noteState();
    for (let index = 0; index < routers; index++) {
      const urls = seeds === 'live' ? this.#members.map(({ url }) => url) : [DEAD_SEED];
      world.addRouter(`r${index}`, urls).start();
    }
    for (let index = 0; index < workers; index++) world.addWorker();
  }

  #addShard(name: string, withCollections: boolean): SimShard {
    const shard = this.#world.addShard(name);
    if (withCollections) {
      for (const collection of COLLECTIONS) shard.create(collection, schemaOf(collection), 1);
    }
    return shard;
  }

  #addressOf(shard: SimShard): { primary_url: string; replica_urls: string[] } {
    return { primary_url: shard.url, replica_urls: shard.followers.map(({ url }) => url) };
  }

  // ---- What happens ----

  async #story(): Promise<void> {
    const { clients, writeEveryMs, operations, faults: planned } = this.#scenario;
    const { time, random } = this.#world;
    await time.sleep(3_000);
    this.#clients.start(clients, writeEveryMs);
    await time.sleep(random.between(500, 4_000));
    const faults = new Faults(this.#world, [...this.#members, ...this.#joiners], planned);
    let joinersUsed = 0;
    for (const [index, operation] of operations.entries()) {
      const joiners =
        operation.kind === 'grow' ? this.#joiners.slice(joinersUsed, (joinersUsed += operation.joiners)) : [];
      const workflow = this.#start(operation, `${index}`, joiners);
      const following = faults.follow(workflow, () => this.#recovery);
      await this.#untilLockIsFree(workflow);
      await following;
      this.#recovery = null;
    }
    while (faults.open > 0) await time.sleep(500);
    this.#world.isQuiet = true;
    await time.sleep(6_000);
    await this.#clients.stop();
    // Longer than anything that may still be under way.
    await time.sleep(25_000);
    this.#isOver = true;
  }

  #settings(): OperationSettings {
    const { routersAsked, failClosedTold, timings } = this.#scenario;
    const routerUrls = routersAsked ? this.#world.routers.map(({ url }) => url) : [];
    return { routerUrls, routersFailClosed: failClosedTold, timings, searchAttributes: false };
  }

  #input<R>(key: string, request: R): OperationInput<R> {
    const { historyEventsMax } = this.#scenario;
    return { ...this.#settings(), cluster: CLUSTER, key, request, historyEventsMax };
  }

  #start(operation: OperationPlan, key: string, joiners: readonly SimShard[]): Workflow {
    const { server, random } = this.#world;
    const id = operationWorkflowId(CLUSTER, operation.kind, key);
    const workflow =
      operation.kind === 'grow'
        ? server.start(
            id,
            grow,
            this.#input(key, { shards: joiners.map((joiner) => this.#addressOf(joiner)), allowNonempty: false }),
          )
        : server.start(id, drain, this.#input(key, { shardId: random.pick(this.#world.state().map.shards).id }));
    this.#operations.push(workflow);
    workflow.update('announced').catch(() => undefined);
    return workflow;
  }

  /** As the API and the evaluations do: a lock whose holder has ended is recovered. */
  async #untilLockIsFree(operation: Workflow): Promise<void> {
    const { time, server } = this.#world;
    let holder = operation;
    for (;;) {
      await time.sleep(250);
      if (holder.isOpen) continue;
      const { lock } = this.#world.state();
      if (lock === null) return;
      if (lock.operationId !== operationIdOfWorkflow(holder)) {
        this.#broken.push(`the lock went from ${holder.id} to ${lock.operationId}`);
        return;
      }
      await time.sleep(this.#world.random.between(500, 15_000));
      const key = recoveryKey(lock);
      const request = { dead: lock.operationId, diedAtMs: holder.closedAtMs };
      holder = server.start(operationWorkflowId(CLUSTER, 'recover', key), recover, this.#input(key, request));
      this.#world.note(`recovery ${key}`);
      this.#operations.push(holder);
      this.#recovery = holder;
    }
  }

  // ---- The end ----

  #whatWaits(): string {
    const open = this.#operations.filter(({ isOpen }) => isOpen);
    if (open.length === 0) return 'no operation is open';
    return open
      .map((operation) => {
        const { phase, waiting } = operation.query('progress') as OperationProgress;
        return `${operation.id} in ${phase}, waiting for ${waiting === null ? 'NOTHING THAT IT TELLS' : `${waiting.reason} (${waiting.endsWhen})`}`;
      })
      .join('; ');
  }

  #result(): RunResult {
    const world = this.#world;
    const { seed, timings, routersAsked, joinerHasCollections } = this.#scenario;
    const flips = world.maps.flatMap((map, index) => {
      const before = world.maps[index - 1];
      const isFlip =
        before !== undefined &&
        (before.joining.length > map.joining.length || map.shards.length < before.shards.length);
      return isFlip && map.shards.length > 0 ? [world.mapTimes[index] ?? 0] : [];
    });
    const verdict = check({
      world,
      registers: this.#clients.registers,
      shards: [...this.#members, ...this.#joiners],
      operations: this.#operations,
      joiners: this.#joiners,
      joinerHad: joinerHasCollections ? COLLECTIONS : [],
      inFlightMs: timings.inFlightMs,
      routersAsked,
      flips,
      dropsFromMs: this.#operations.flatMap((operation) => {
        const { phases } = operation.query('progress') as OperationProgress;
        return phases.filter(({ phase }) => phase === 'drop').map(({ startedAtMs }) => startedAtMs);
      }),
      broken: this.#broken,
    });
    const ends = this.#operations.map((operation) => {
      const { status, outcome } = operation.query('progress') as OperationProgress;
      return `${operation.id} ${operation.status} ${status}: ${outcome?.message ?? ''}`;
    });
    return {
      ...verdict,
      seed,
      scenario: this.#scenario,
      trace: world.trace,
      events: world.time.events,
      virtualMs: world.sinceStartMs,
      ends,
      acknowledged: this.#clients.acknowledged,
    };
  }
}

function schemaOf(name: string): string {
  return JSON.stringify({ name, dim: 1, metric: 'l2', index: 'ivf' });
}

function operationIdOfWorkflow({ id }: Workflow): string {
  const [kind = '', , key = ''] = id.split('/');
  return operationIdOf(kind as 'grow', key);
}

function time(world: World, ms: number, then: () => void): void {
  world.time.after(ms, null, then);
}
