/** `Replicate` of a simulated shard: the rows of one cut, then what changes, as the events of the real decoder. */
import { ShardError } from '../../../../src/shards/errors';
import type { CallContext } from '../../../../src/shards/http/shard-client';
import type { StreamEvent } from '../../../../src/shards/stream/replication';
import { processes } from '../runtime/time';
import { Unanswered, type Change, type Volume } from './shard';
import type { World } from './world';

const ROWS_PER_BATCH = 64;
const NO_BYTES = Buffer.alloc(0);

export function replicate(world: World, url: string, ctx: CallContext): object {
  const stream = new Stream(world, url, ctx);
  return {
    get firstMessageMs() {
      return stream.firstMessageMs;
    },
    [Symbol.asyncIterator]: () => stream.events(),
  };
}

class Stream {
  firstMessageMs: number | null = null;
  readonly #world: World;
  readonly #url: string;
  readonly #ctx: CallContext;
  readonly #owner = processes.getStore() ?? null;
  /** Changes that nobody has read yet. */
  readonly #changes: (Change | 'lost')[] = [];
  #wake: () => void = () => undefined;
  #lsn = 0;
  #isBroken: () => boolean = () => false;

  constructor(world: World, url: string, ctx: CallContext) {
    this.#world = world;
    this.#url = url;
    this.#ctx = ctx;
  }

  async *events(): AsyncGenerator<readonly StreamEvent[]> {
    const { time } = this.#world;
    const beganAtMs = time.nowMs;
    const shard = this.#world.shardAt(this.#url);
    this.#ctx.signal?.throwIfAborted();
    if (shard === null) throw this.#failure('Unreachable', 'connection refused');
    let scan: { cut: Volume; stopMs: number; end: () => void };
    const fate = shard.nextStreams.shift() ?? this.#world.fateOfStream();
    const { tailChangesMax } = shard;
    try {
      const tell = (change: Change | 'lost'): void => {
        if (this.#changes.at(-1) === 'lost') return;
        this.#changes.push(this.#changes.length >= tailChangesMax ? 'lost' : change);
        this.#wake();
      };
      scan = await shard.request(() => shard.beginScan(tell), { owner: this.#owner });
    } catch (error) {
      this.#ctx.signal?.throwIfAborted();
      throw error instanceof Unanswered ? this.#failure('Unreachable', error.message) : error;
    }
    const { generation } = shard;
    this.#isBroken = () => shard.generation !== generation;
    const lostAfter = fate === 'tail-lost' ? this.#world.random.between(0, 12) : Infinity;
    try {
      await this.#pause(scan.stopMs);
      this.firstMessageMs = time.nowMs - beganAtMs;
      for (const events of this.#bootstrap(scan.cut, fate === 'cut')) {
        if (this.#isBroken()) throw this.#failure('Unreachable', 'the connection broke');
        yield events;
        await this.#pause(this.#world.random.between(1, 3));
      }
      if (fate === 'cut') throw this.#failure('MalformedReply', 'the stream ended early');
      yield* this.#tail(lostAfter);
    } finally {
      scan.end();
    }
  }

  *#bootstrap(cut: Volume, isCutOff: boolean): Generator<readonly StreamEvent[]> {
    const { random } = this.#world;
    const names = random.shuffled([...cut.keys()]);
    const batches: StreamEvent[][] = [];
    names.forEach((name, collectionId) => {
      const head: StreamEvent = { kind: 'collection', collectionId, name, descriptor: NO_BYTES };
      const rows = [...cut.get(name)!.rows.values()].sort((a, b) => a.id.compare(b.id));
      const batch: StreamEvent[] = [head];
      if (rows.length > 0) batch.push({ kind: 'rows', collection: name, rows: rows.slice(0, ROWS_PER_BATCH) });
      batches.push(batch);
      for (let at = ROWS_PER_BATCH; at < rows.length; at += ROWS_PER_BATCH) {
        batches.push([{ kind: 'rows', collection: name, rows: rows.slice(at, at + ROWS_PER_BATCH) }]);
      }
    });
    // A stream that ends early has sent its first message, and lacks at least its last one.
    yield* isCutOff ? batches.slice(0, Math.max(1, random.between(1, Math.max(1, batches.length - 1)))) : batches;
  }

  async *#tail(lostAfter: number): AsyncGenerator<readonly StreamEvent[]> {
    for (;;) {
      if (this.#changes.length === 0) await this.#change();
      await this.#pause(this.#world.random.between(1, 3));
      const events: StreamEvent[] = [];
      for (const change of this.#changes.splice(0)) {
        if (change === 'lost' || this.#lsn >= lostAfter) {
          if (this.#lsn === 0 && this.#isBroken()) throw this.#failure('Unreachable', 'the connection broke');
          if (this.#lsn === 0) events.push({ kind: 'bootstrap-end' });
          yield [...events, { kind: 'tail-lost', reason: 'the buffer was full' }];
          return;
        }
        if (this.#lsn === 0) events.push({ kind: 'bootstrap-end' });
        this.#lsn += 1;
        events.push(eventOf(change, this.#lsn));
      }
      if (events.length > 0) yield events;
    }
  }

  #change(): Promise<void> {
    const { signal } = this.#ctx;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal?.reason as Error);
      if (signal?.aborted === true) return abort();
      this.#wake = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  async #pause(ms: number): Promise<void> {
    this.#ctx.signal?.throwIfAborted();
    await this.#world.time.sleep(ms, this.#owner);
    this.#ctx.signal?.throwIfAborted();
  }

  #failure(code: 'Unreachable' | 'MalformedReply', reason: string): ShardError {
    return new ShardError({ code, method: 'GRPC', shardUrl: this.#url, path: '/Replicate', status: null, reason });
  }
}

function eventOf(change: Change, lsn: number): StreamEvent {
  const { collection } = change;
  switch (change.kind) {
    case 'upsert':
      return { kind: 'tail-upsert', lsn, collection, row: change.row };
    case 'delete':
      return { kind: 'tail-delete', lsn, collection, id: change.id };
    case 'create':
      return { kind: 'tail-create', lsn, collection, collectionId: lsn, descriptor: NO_BYTES };
    case 'drop':
      return { kind: 'tail-drop', lsn, collection };
  }
}
