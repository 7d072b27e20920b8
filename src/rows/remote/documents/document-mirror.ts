/**
 * Documents of one shard by id. Quiver has no call for that, so one scan reads them all, and the changes after it keep
 * them up to date. Before each answer something is written to the shard: when its change has come, everything before it
 * has come too. It lives as long as its job, and holds all documents of the shard in memory (DOCUMENT_BYTES_MAX).
 */
import { randomBytes } from 'node:crypto';
import { isInternalCollection } from '../../../domain/shard-identity';
import { documentOf, tokenOf } from '../../../shards/stream/documents';
import type { StreamEvent } from '../../../shards/stream/replication';
import type { ShardGrpc } from '../../../shards/stream/shard-grpc';
import type { Row } from '../../ports';
import type { RemoteJob } from '../remote-job';
import type { Kinds } from './kinds';

/** A mark that was made before the cut shows nowhere, so it is made again. */
const MARK_AGAIN_MS = 3_000;
/** A shard that holds nothing says nothing until something changes. */
const MARK_EMPTY_MS = 500;
const SCANS_MAX = 3;

type Tokens = Map<number, Row>;

export class DocumentMirror {
  readonly #job: RemoteJob;
  readonly #grpc: () => ShardGrpc;
  readonly #kinds: Kinds;
  readonly #mark: (text: string) => Promise<void>;
  readonly #awaited = new Set<string>();
  #scan: Scan | null = null;

  constructor(
    job: RemoteJob,
    of: {
      /** Of the address that leads. */
      grpc: () => ShardGrpc;
      kinds: Kinds;
      /** Writes this text where only the coordinator looks. */ mark: (text: string) => Promise<void>;
    },
  ) {
    this.#job = job;
    this.#grpc = of.grpc;
    this.#kinds = of.kinds;
    this.#mark = of.mark;
  }

  /** In the order of `ids`. Null: the shard has no such collection. */
  async get(collection: string, ids: readonly Buffer[]): Promise<(Row | null)[] | null> {
    const documents = (await this.#upToDate()).collections.get(collection);
    if (documents === undefined) return null;
    return ids.map((id) => {
      const tokens = documents.get(id.toString('latin1'));
      return tokens === undefined ? null : documentOf(id, tokens);
    });
  }

  close(): void {
    this.#scan?.end();
    this.#scan = null;
  }

  async #upToDate(): Promise<Scan> {
    for (let scans = 0; ;) {
      if (this.#scan === null) {
        scans += 1;
        this.#scan = new Scan(this.#job, { grpc: this.#grpc(), kinds: this.#kinds, awaited: this.#awaited });
      }
      const scan = this.#scan;
      if (await this.#showsMark(scan)) return scan;
      this.close();
      if (scan.failure !== null) throw scan.failure;
      if (scans >= SCANS_MAX) throw new Error('the changes of a shard come too fast for its documents to be read');
    }
  }

  /** False when the scan was lost meanwhile. */
  async #showsMark(scan: Scan): Promise<boolean> {
    const text = randomBytes(8).toString('hex');
    this.#awaited.add(text);
    const beganAtMs = Date.now();
    let markedAtMs: number | null = null;
    try {
      while (this.#awaited.has(text)) {
        this.#job.signal.throwIfAborted();
        if (scan.isOver) return false;
        const isDue = scan.isStarted || Date.now() - beganAtMs >= MARK_EMPTY_MS;
        if (isDue && (markedAtMs === null || Date.now() - markedAtMs >= MARK_AGAIN_MS)) {
          markedAtMs = Date.now();
          await this.#mark(text);
        }
        if (this.#awaited.has(text)) await scan.news(MARK_EMPTY_MS);
      }
      return true;
    } finally {
      this.#awaited.delete(text);
    }
  }
}

class Scan {
  readonly collections = new Map<string, Map<string, Tokens>>();
  isStarted = false;
  isOver = false;
  failure: Error | null = null;
  readonly #kinds: Kinds;
  readonly #awaited: Set<string>;
  readonly #ending = new AbortController();
  #waiting: (() => void)[] = [];

  constructor(job: RemoteJob, { grpc, kinds, awaited }: { grpc: ShardGrpc; kinds: Kinds; awaited: Set<string> }) {
    this.#kinds = kinds;
    this.#awaited = awaited;
    const signal = AbortSignal.any([job.signal, this.#ending.signal]);
    const { trace } = job.reading;
    void this.#read(grpc.replicate({ deadlineMs: Number.MAX_SAFE_INTEGER, signal, trace }));
  }

  end(): void {
    this.#ending.abort();
  }

  /** Resolves when something has come, or after this time. */
  async news(withinMs: number): Promise<void> {
    if (this.isOver) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
      this.#waiting.push(resolve);
    });
    clearTimeout(timer);
  }

  async #read(replication: AsyncIterable<readonly StreamEvent[]>): Promise<void> {
    try {
      for await (const events of replication) {
        this.isStarted = true;
        for (const event of events) await this.#apply(event);
        this.#tell();
      }
    } catch (error) {
      if (!this.#ending.signal.aborted) this.failure = error instanceof Error ? error : new Error('a scan failed');
    }
    this.isOver = true;
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #apply(event: StreamEvent): Promise<void> {
    switch (event.kind) {
      case 'collection':
        return void this.collections.set(event.name, new Map());
      case 'tail-create':
        this.#kinds.forget(event.collection);
        this.#seen(event.collection);
        return void this.collections.set(event.collection, new Map());
      case 'tail-drop':
        return void this.collections.delete(event.collection);
      case 'rows':
        if (await this.#kinds.holdsDocuments(event.collection)) {
          for (const row of event.rows) this.#put(event.collection, row);
        }
        return;
      case 'tail-upsert':
        if (isInternalCollection(event.collection)) this.#seen(event.row.payload.toString('latin1'));
        else if (await this.#kinds.holdsDocuments(event.collection)) this.#put(event.collection, event.row);
        return;
      case 'tail-delete':
        return this.#remove(event.collection, event.id);
      case 'bootstrap-end':
      case 'tail-lost':
        return;
    }
  }

  #seen(text: string): void {
    for (const awaited of this.#awaited) if (text.includes(awaited)) this.#awaited.delete(awaited);
  }

  #put(collection: string, row: Row): void {
    const of = tokenOf(row.id);
    const documents = this.collections.get(collection);
    if (of === null || documents === undefined) return;
    const key = of.document.toString('latin1');
    let tokens = documents.get(key);
    if (tokens === undefined) documents.set(key, (tokens = new Map<number, Row>()));
    // Rows are views of what arrived.
    tokens.set(of.token, { ...row, vector: Buffer.from(row.vector), payload: Buffer.from(row.payload) });
  }

  #remove(collection: string, id: Buffer): void {
    const of = tokenOf(id);
    const documents = this.collections.get(collection);
    const key = of?.document.toString('latin1') ?? '';
    const tokens = documents?.get(key);
    if (of === null || tokens === undefined) return;
    tokens.delete(of.token);
    if (tokens.size === 0) documents?.delete(key);
  }
}
