/** Makes things go wrong, at the moments of the scenario. */
import { IDENTITY_COLLECTION } from '../../../src/domain/shard-identity';
import type { OperationProgress } from '../../../src/domain/progress';
import type { Fault, TimedFault } from './scenario';
import type { World } from './world/world';
import type { SimShard, Volume } from './world/shard';
import type { Workflow } from './runtime/server';

const LOOK_EVERY_MS = 20;

export class Faults {
  readonly #world: World;
  readonly #shards: readonly SimShard[];
  /** As they were when the operation began. */
  #old: readonly Volume[] = [];
  #waiting: TimedFault[];
  /** Ends of faults that are still to come. */
  open = 0;

  /** `shards`: the members, and behind them the joiners. */
  constructor(world: World, shards: readonly SimShard[], faults: readonly TimedFault[]) {
    this.#world = world;
    this.#shards = shards;
    this.#waiting = [...faults];
  }

  /** What has not struck by the end of the operation never does. */
  async follow(operation: Workflow, others: () => Workflow | null): Promise<void> {
    const { time } = this.#world;
    this.#old = this.#shards.map((shard) => shard.snapshot());
    while (this.#waiting.length > 0) {
      const current = others() ?? operation;
      const { phase } = current.query('progress') as OperationProgress;
      const due = this.#waiting.filter((each) => each.phase === phase);
      this.#waiting = this.#waiting.filter((each) => !due.includes(each));
      for (const { fault, afterMs } of due) time.after(afterMs, null, () => this.#strike(fault, others() ?? operation));
      await time.sleep(LOOK_EVERY_MS);
      if (!operation.isOpen && others() === null) return;
    }
  }

  #later(ms: number, end: () => void): void {
    this.open += 1;
    this.#world.time.after(ms, null, () => {
      this.open -= 1;
      end();
    });
  }

  #strike(fault: Fault, operation: Workflow): void {
    const world = this.#world;
    if (world.isQuiet) return;
    world.note(`FAULT ${JSON.stringify(fault)}`);
    switch (fault.kind) {
      case 'router-restarts': {
        const router = world.routers[fault.router]!;
        if (!router.isUp) return;
        const { process } = router;
        router.kill();
        router.tellDeath(process);
        router.pollsHangUntilMs = Math.max(router.pollsHangUntilMs, world.time.nowMs + fault.forMs + fault.blindMs);
        return this.#later(fault.forMs, () => router.start());
      }
      case 'polls-hang':
        world.routers[fault.router]!.pollsHangUntilMs = world.time.nowMs + fault.forMs;
        return;
      case 'api-away':
        world.apiIsAwayUntilMs = world.time.nowMs + fault.forMs;
        return;
      case 'shard-restarts':
        return this.#restart(fault.shard, fault.forMs);
      case 'shard-stands-still':
        return this.#shards[fault.shard]?.standStillUntil(world.time.nowMs + fault.forMs);
      case 'wrong-volume':
        return this.#swapVolume(fault.shard, fault);
      case 'worker-dies':
        return this.#killWorker(fault.forMs);
      case 'worker-stands-still':
        for (const worker of world.workers.slice(-1)) {
          worker.process.standsStillUntilMs = worker.isCutOffUntilMs = world.time.nowMs + fault.forMs;
        }
        return;
      case 'worker-cut-off':
        for (const worker of world.workers.slice(-1)) worker.isCutOffUntilMs = world.time.nowMs + fault.forMs;
        return;
      case 'cancel':
        if (fault.how === 'web-ui') operation.cancel();
        else operation.update('cancel', { reason: 'a fault' }).catch(() => undefined);
        return;
      case 'terminate':
        operation.terminate();
    }
  }

  #restart(index: number, forMs: number): void {
    const shard = this.#shards[index];
    if (shard?.isUp !== true) return;
    shard.stop();
    this.#later(forMs, () => shard.start());
  }

  #swapVolume(index: number, { volume, forMs }: { volume: 'empty' | 'old' | 'hollow'; forMs: number }): void {
    const shard = this.#shards[index];
    if (shard?.isUp !== true || this.#world.hasForeignVolume(shard)) return;
    const own = shard.volume;
    // Nobody can tell the volume of a shard that has not joined: a joiner would be claimed on it, and lost with it.
    if (!own.has(IDENTITY_COLLECTION)) return;
    shard.stop();
    this.#world.ownVolumes.set(shard, own);
    this.#world.hadWrongVolume.add(shard);
    if (volume === 'hollow') this.#world.hadHollowVolume = true;
    if (volume === 'hollow') shard.volume = hollow(own);
    else shard.volume = volume === 'empty' ? new Map() : (this.#old[index] ?? new Map());
    shard.start();
    this.#later(forMs, () => {
      shard.stop();
      shard.volume = own;
      this.#world.ownVolumes.delete(shard);
      shard.start();
    });
  }

  #killWorker(forMs: number): void {
    const alive = this.#world.workers.filter(({ process }) => process.isAlive);
    for (const worker of alive.slice(0, 1)) worker.process.isAlive = false;
    this.#later(forMs, () => this.#world.addWorker());
  }
}

/** The same shard by its identity, and all of its rows are gone. */
function hollow(volume: Volume): Volume {
  return new Map(
    [...volume].map(([name, { schema, dim, rows }]) => [
      name,
      { schema, dim, rows: name === IDENTITY_COLLECTION ? new Map(rows) : new Map() },
    ]),
  );
}
