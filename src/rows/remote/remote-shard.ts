import { IDENTITY_COLLECTION } from '../../domain/shard-identity';
import { confirmIdentity } from '../../shards/http/shard-identity';
import { ShardError } from '../../shards/errors';
import { namesOtherDimension } from '../../shards/http/refusals';
import type { CallContext, ShardClient } from '../../shards/http/shard-client';
import type { ShardGrpc } from '../../shards/stream/shard-grpc';
import { CollectionMissing, CollectionOfOtherKind, type Row, type RowShard, type RowSource } from '../ports';
import { documentBatches } from './documents/batches';
import { DocumentMirror } from './documents/document-mirror';
import { DocumentSource } from './documents/document-source';
import { Kinds } from './documents/kinds';
import { unreadable } from './documents/unreadable';
import { elementOfRow, rowOfElement } from './json-rows';
import type { RemoteClients } from './clients';
import type { RemoteJob } from './remote-job';
import { barrierPoint, chooseSource, leaderGrpcUrl, mark } from './sources';
import type { ShardTarget } from './target';

const LOOKS_IN_FLIGHT = 16;
/** Each may have hundreds of tokens, and the shard syncs its disk for every one. */
const DELETE_DOCUMENTS_MAX = 10;

/** A shard as it is reached over the network: rows over gRPC, everything else over REST. */
export class RemoteShard implements RowShard {
  readonly id: number | string;
  readonly #job: RemoteJob;
  readonly #target: ShardTarget;
  readonly #clients: RemoteClients;
  readonly #rest: ShardClient;
  readonly #kinds: Kinds;
  readonly #documents: DocumentMirror;
  #hasGrpc: Promise<boolean> | null = null;

  constructor(job: RemoteJob, target: ShardTarget, clients: RemoteClients) {
    this.id = target.id;
    this.#job = job;
    this.#target = target;
    this.#clients = clients;
    this.#rest = clients.rest(target);
    this.#kinds = new Kinds(job, this.#rest);
    this.#documents = new DocumentMirror(job, {
      grpc: () => this.#grpc,
      kinds: this.#kinds,
      mark: (text) => mark(job, this.#rest, text),
    });
  }

  /** For calls that are about no row. */
  get rest(): ShardClient {
    return this.#rest;
  }

  /** Ends what it keeps open for its job. */
  close(): void {
    this.#documents.close();
  }

  async source({ isPlan } = { isPlan: false }): Promise<RowSource> {
    const of = { target: this.#target, clients: this.#clients, primary: this.#rest, isPlan };
    const source = await chooseSource(this.#job, of);
    return source.kind === 'pages' ? source : new DocumentSource(source, new Kinds(this.#job, this.#rest));
  }

  async getRows(collection: string, ids: readonly Buffer[]): Promise<(Row | null)[]> {
    if (ids.length === 0) return [];
    return this.#orMissing(collection, async () => {
      if (await this.#kinds.holdsDocuments(collection)) return this.#getDocuments(collection, ids);
      if (!(await this.#isGrpcReachable())) return this.#getOverRest(collection, ids);
      const rows = await this.#grpc.getPoints(collection, ids, { withVector: true }, this.#job.reading);
      const found = new Map(rows.map((row) => [row.id.toString('latin1'), row]));
      return ids.map((id) => found.get(id.toString('latin1')) ?? null);
    });
  }

  async upsert(collection: string, rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return;
    await this.#orMissing(collection, async () => {
      if (await this.#kinds.holdsDocuments(collection)) return this.#putDocuments(collection, rows);
      const hasGrpc = await this.#isGrpcReachable();
      await this.#job.write((ctx) =>
        hasGrpc ? this.#stream(collection, rows, ctx) : this.#put(collection, rows, ctx),
      );
    });
  }

  async delete(collection: string, ids: readonly Buffer[]): Promise<number> {
    return this.#orMissing(collection, async () => {
      if (await this.#kinds.holdsDocuments(collection)) return this.#deleteDocuments(collection, ids);
      return this.#job.write((ctx) => this.#rest.deletePoints(collection, ids, ctx));
    });
  }

  dropCollection(collection: string): Promise<boolean> {
    return this.#job.write((ctx) => this.#rest.dropCollection(collection, ctx));
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const collections = await this.#rest.listCollections(this.#job.reading);
    return new Map(collections.map(({ name, count }) => [name, count]));
  }

  async size(): Promise<{ rows: number; bytes: number }> {
    let [rows, bytes] = [0, 0];
    for (const { count, dim } of await this.#rest.listCollections(this.#job.reading)) {
      rows += count;
      bytes += count * 4 * dim;
    }
    return { rows, bytes };
  }

  scanMicrosPerRow(): number | null {
    return this.#clients.slowestScans.get(this.#target.primary_url) ?? null;
  }

  get isIdentified(): boolean {
    return this.#target.identity !== null;
  }

  async confirmIdentity(): Promise<void> {
    await this.#rest.findLeader(this.#job.reading);
    const { identity } = this.#target;
    if (identity !== null) await confirmIdentity(this.#rest, identity, this.#job.reading);
  }

  async setBarrier(barrier: string): Promise<boolean> {
    await this.#rest.findLeader(this.#job.reading);
    if (this.#target.identity === null) return false;
    // It is no point of anybody's, and harmless when it comes late: so it counts for no write of the job.
    await this.#rest.upsert(IDENTITY_COLLECTION, [barrierPoint(barrier)], this.#job.reading);
    return true;
  }

  /** Of the address that leads, which `#askGrpc` has looked for. */
  get #grpc(): ShardGrpc {
    return this.#clients.grpc(leaderGrpcUrl(this.#target, this.#clients, this.#rest));
  }

  async #askGrpc(): Promise<void> {
    await this.#rest.findLeader(this.#job.reading);
    await this.#grpc.listCollections({ ...this.#job.reading, deadlineMs: this.#job.nowMs() + 3_000 });
  }

  /** Asked once a job: a shard does not lose its gRPC in the middle of one, and if it does, the job fails and is tried again. */
  #isGrpcReachable(): Promise<boolean> {
    this.#hasGrpc ??= this.#askGrpc().then(
      () => true,
      (error: unknown) => {
        this.#job.signal.throwIfAborted();
        if (error instanceof ShardError) return false;
        throw error;
      },
    );
    return this.#hasGrpc;
  }

  async #stream(collection: string, rows: readonly Row[], ctx: CallContext): Promise<void> {
    const stream = this.#grpc.upsertStream(collection, ctx);
    try {
      await stream.write(rows);
      await stream.end();
    } catch (error) {
      stream.abort();
      throw error;
    }
  }

  async #put(collection: string, rows: readonly Row[], ctx: CallContext): Promise<void> {
    await this.#rest.upsert(collection, rows.map(elementOfRow), ctx);
  }

  async #getOverRest(collection: string, ids: readonly Buffer[]): Promise<(Row | null)[]> {
    const rows: (Row | null)[] = ids.map(() => null);
    const questions = ids.entries();
    const ask = async (): Promise<void> => {
      for (const [index, id] of questions) {
        const element = await this.#rest.getPoint(collection, id, this.#job.reading);
        if (element !== null) rows[index] = rowOfElement(id, element);
      }
    };
    await Promise.all(Array.from({ length: LOOKS_IN_FLIGHT }, ask));
    return rows;
  }

  async #getDocuments(collection: string, ids: readonly Buffer[]): Promise<(Row | null)[]> {
    await this.#requireGrpc(collection);
    const rows = await this.#documents.get(collection, ids);
    if (rows === null) throw new CollectionMissing(collection, this.id);
    return rows;
  }

  async #putDocuments(collection: string, rows: readonly Row[]): Promise<void> {
    await this.#requireGrpc(collection);
    for (const some of documentBatches(rows)) {
      await this.#paced((ctx) => this.#grpc.upsertDocuments(collection, some, ctx));
    }
  }

  async #deleteDocuments(collection: string, ids: readonly Buffer[]): Promise<number> {
    let deleted = 0;
    for (let start = 0; start < ids.length; start += DELETE_DOCUMENTS_MAX) {
      const some = ids.slice(start, start + DELETE_DOCUMENTS_MAX);
      deleted += await this.#paced((ctx) => this.#rest.deleteDocuments(collection, some, ctx));
    }
    return deleted;
  }

  /** The shard stands still for the call, so its clients get half of that time afterwards. */
  async #paced<T>(send: (ctx: CallContext) => Promise<T>): Promise<T> {
    const beganAtMs = this.#job.nowMs();
    const answer = await this.#job.write(send);
    await this.#job.sleep(Math.ceil((this.#job.nowMs() - beganAtMs) / 2));
    return answer;
  }

  async #requireGrpc(collection: string): Promise<void> {
    if (!(await this.#isGrpcReachable())) throw unreadable(collection, this.#target.primary_url);
  }

  async #orMissing<T>(collection: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ShardError)) throw error;
      if (error.code === 'NotFound') throw new CollectionMissing(collection, this.id);
      if (namesOtherDimension(error.message)) throw new CollectionOfOtherKind(collection, this.id);
      throw error;
    }
  }
}
