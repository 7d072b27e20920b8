/**
 * Clients that write, delete and re-create points through any router, and know what was acknowledged. A register is one
 * id, and belongs to one client, which has one request about it under way at most.
 */
import { NoAnswer, RouterRefused, type WriteTrace } from './router';
import type { Random } from './random';
import type { Row } from './shard';
import type { World } from './world';

/** A version, or null when the point is gone. */
export type State = number | null;

/** What a write of a register did, as far as a check may have to excuse it. */
export interface LastWrite {
  /** Goes on changing after a request that nobody answered. */
  readonly trace: WriteTrace;
  readonly state: State;
  readonly isAcknowledged: boolean;
  readonly endedAtMs: number;
}

export interface Register {
  readonly collection: string;
  readonly id: string;
  /** What it may read as. */
  states: readonly State[];
  version: number;
  /** No answer came, so the request may yet be carried out: nobody writes it again. */
  isRetired: boolean;
  writes: LastWrite[];
  /** Its client leaves it alone from then on, so that nothing hides what became of it. */
  readonly restsFromMs: number;
}

export const COLLECTIONS = ['docs', 'notes'] as const;

export function rowOf({ collection, id }: Register, version: number): Row {
  const vector = Buffer.alloc(4);
  vector.writeFloatLE(version);
  return { id: Buffer.from(id), vector, payload: Buffer.from(`{"of":"${collection}/${id}","version":${version}}`) };
}

export class Clients {
  readonly registers: Register[];
  acknowledged = 0;
  refused = 0;
  unanswered = 0;
  readonly #world: World;
  readonly #random: Random;
  #isStopping = false;
  #running: Promise<unknown> = Promise.resolve();
  isStopped = false;

  /** `still`: registers that nobody writes. */
  constructor(world: World, { still, busy }: { still: number; busy: number }) {
    this.#world = world;
    this.#random = world.random.fork();
    this.registers = Array.from({ length: still + busy }, (_, number): Register => {
      const isStill = number < still;
      const collection = COLLECTIONS[number % COLLECTIONS.length]!;
      const id = `${isStill ? 'still' : 'busy'}-${number}`;
      const restsFromMs = this.#random.chance(0.6) ? world.time.nowMs + this.#random.between(5_000, 45_000) : Infinity;
      return { collection, id, states: [null], version: 0, isRetired: isStill, writes: [], restsFromMs };
    });
  }

  /** Fills the shards as they are before anything happens, without a router. */
  prefill(put: (register: Register, row: Row) => void, share: number): void {
    for (const register of this.registers) {
      if (!register.isRetired && !this.#random.chance(share)) continue;
      register.version = 1;
      register.states = [1];
      put(register, rowOf(register, 1));
    }
  }

  start(count: number, everyMs: number): void {
    const busy = this.registers.filter(({ isRetired }) => !isRetired);
    const clients = Array.from({ length: count }, (_, index) => {
      const own = busy.filter((_register, at) => at % count === index);
      return this.#run(own, everyMs * count);
    });
    this.#running = Promise.all(clients).then(() => {
      this.isStopped = true;
    });
  }

  /** Resolves when the last request was answered. */
  stop(): Promise<unknown> {
    this.#isStopping = true;
    return this.#running;
  }

  async #run(own: readonly Register[], everyMs: number): Promise<void> {
    const { time } = this.#world;
    const random = this.#random;
    for (;;) {
      await time.sleep(random.between(1, 2 * everyMs));
      if (this.#isStopping) return;
      if (random.chance(0.35)) {
        await this.#once(random);
        continue;
      }
      const first = random.pick(own);
      const isFree = ({ isRetired, restsFromMs }: Register): boolean => !isRetired && restsFromMs > time.nowMs;
      if (!isFree(first)) continue;
      const more = random.chance(0.15) ? random.between(1, 3) : 0;
      const batch = new Set([first]);
      for (let turn = 0; turn < more; turn++) batch.add(random.pick(own));
      await this.#change([...batch].filter((each) => each.collection === first.collection && isFree(each)));
    }
  }

  /** A new id, written once; some of them are deleted soon after. Nothing comes later that could hide what became of it. */
  async #once(random: Random): Promise<void> {
    const { time } = this.#world;
    const number = this.registers.length;
    const register: Register = {
      collection: COLLECTIONS[number % COLLECTIONS.length]!,
      id: `once-${number}`,
      states: [null],
      version: 0,
      isRetired: false,
      writes: [],
      restsFromMs: 0,
    };
    this.registers.push(register);
    await this.#change([register], false);
    if (register.isRetired || !random.chance(0.4)) return;
    await time.sleep(random.between(5, random.pick([100, 3_000])));
    await this.#change([register], true);
  }

  async #change(batch: readonly Register[], isDelete = this.#random.chance(0.35)): Promise<void> {
    const random = this.#random;
    const { time, routers } = this.#world;
    const states = batch.map((register): State => {
      register.version += 1;
      return isDelete ? null : register.version;
    });
    const router = random.pick(routers);
    const trace: WriteTrace = {
      version: -1,
      beganAtMs: time.nowMs,
      lastAtMs: time.nowMs,
      shards: [],
      byLiveSeeds: false,
    };
    const rows = isDelete ? [] : batch.map((register) => rowOf(register, register.version));
    const ids = batch.map(({ id }) => Buffer.from(id));
    const collection = batch[0]?.collection ?? '';
    let [isAcknowledged, isAnswered] = [false, true];
    try {
      await router.write({ collection, rows, ids }, trace);
      isAcknowledged = true;
    } catch (error) {
      if (error instanceof NoAnswer) isAnswered = false;
      else if (!(error instanceof RouterRefused)) throw error;
    }
    if (isAcknowledged) this.acknowledged += 1;
    else if (isAnswered) this.refused += 1;
    else this.unanswered += 1;
    batch.forEach((register, index) => {
      const state = states[index] ?? null;
      register.states = isAcknowledged ? [state] : [...new Set([...register.states, state])];
      register.isRetired ||= !isAnswered;
      register.writes.push({ trace, state, isAcknowledged, endedAtMs: time.nowMs });
    });
  }
}
