/**
 * The messages of `Replicate`, as Quiver 1.1.0 sends them. The request is empty.
 *
 *     ReplicationOp  1 lsn, absent in the bootstrap   and one of
 *                    2 create { 1 collection_id, 2 name, 3 descriptor }   3 drop { 1 collection_id }
 *                    4 upsert { 1 collection_id, 2 id, 3 vector, 4 payload }   5 delete { 1 collection_id, 2 id }
 *
 * The first collection of a shard has the id 0, which is left out like every zero. So is an empty payload, which the
 * later tokens of a document have.
 */
import { ShardError } from '../errors';
import type { GrpcCall } from './grpc-call';
import { emptyRequest, type Row } from './points';
import { WireError, WireReader } from './protobuf';
import { DATA_LOSS, OK, reasonOf, type GrpcStatus } from './statuses';

/** What happens to a shard, in the order in which it happens. */
export type StreamEvent =
  | BootstrapEvent
  /** The cut is complete. What follows happened after it. */
  | { readonly kind: 'bootstrap-end' }
  | TailEvent
  /** The last event: something happened after the cut that will not be told. The cut itself is complete. */
  | { readonly kind: 'tail-lost'; readonly reason: string };

export type BootstrapEvent =
  | {
      readonly kind: 'collection';
      readonly collectionId: number;
      readonly name: string;
      /** Equal bytes for equal schemas of one version of Quiver; not to be looked into. */
      readonly descriptor: Buffer;
    }
  /** Neighbours in byte order of the id. Several of these follow one another. */
  | { readonly kind: 'rows'; readonly collection: string; readonly rows: readonly Row[] };

export type TailEvent =
  | { readonly kind: 'tail-upsert'; readonly lsn: number; readonly collection: string; readonly row: Row }
  | { readonly kind: 'tail-delete'; readonly lsn: number; readonly collection: string; readonly id: Buffer }
  | {
      readonly kind: 'tail-create';
      readonly lsn: number;
      readonly collection: string;
      readonly collectionId: number;
      readonly descriptor: Buffer;
    }
  | { readonly kind: 'tail-drop'; readonly lsn: number; readonly collection: string };

/**
 * The events of one `Replicate`, in batches of what arrived together. To be iterated once. While the consumer is busy
 * nothing is read, and at most a window of 2 MiB waits unread, here and in the system. Rows are views, see `Row`.
 *
 * The cut is whole when `bootstrap-end` has come, and never otherwise. An idle shard does not send it: whoever wants it
 * makes the shard change something after the first batch. An end before it is a ShardError. After it, an end is the event
 * `tail-lost`. When the consumer stops early, the call is cancelled.
 */
export class Replication implements AsyncIterable<readonly StreamEvent[]> {
  readonly #begin: () => GrpcCall;
  readonly #nowMs: () => number;
  #firstMessageMs: number | null = null;

  constructor(begin: () => GrpcCall, nowMs: () => number) {
    this.#begin = begin;
    this.#nowMs = nowMs;
  }

  /** How long the first message took: about as long as the scan stopped the shard. Null until it has come. */
  get firstMessageMs(): number | null {
    return this.#firstMessageMs;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly StreamEvent[]> {
    const startedAtMs = this.#nowMs();
    const call = this.#begin();
    const reader = new EventReader();
    try {
      await call.send(emptyRequest());
      call.halfClose();
      call.waitForCaller();
      const arriving = call.messages();
      for (;;) {
        const next = await this.#next(call, arriving, reader);
        if ('lost' in next) {
          yield [...(reader.isInTail ? [] : [BOOTSTRAP_END]), tailLost(next.lost)];
          return;
        }
        this.#firstMessageMs ??= this.#nowMs() - startedAtMs;
        yield next.events;
      }
    } finally {
      call.close();
    }
  }

  /** The next batch, or why the tail ends. @throws ShardError when the stream ends inside the bootstrap */
  async #next(
    call: GrpcCall,
    arriving: AsyncGenerator<Buffer[], GrpcStatus>,
    reader: EventReader,
  ): Promise<{ readonly events: StreamEvent[] } | { readonly lost: string }> {
    try {
      const next = await arriving.next();
      if (next.done !== true) return { events: reader.read(next.value) };
      const status = next.value;
      if (reader.isInTail || status.code === DATA_LOSS) return { lost: reasonOf(status, true) };
      throw status.code === OK ? call.malformed(new WireError(ENDED_EARLY)) : call.refusal(status);
    } catch (error) {
      if (error instanceof WireError) throw call.malformed(error);
      const isCut = error instanceof ShardError && error.code === 'Unreachable';
      if (isCut && reader.isInTail) return { lost: 'the connection broke' };
      throw error;
    }
  }
}

const ENDED_EARLY = 'the stream ended before anything said that its bootstrap was complete';
const BOOTSTRAP_END: StreamEvent = { kind: 'bootstrap-end' };

function tailLost(reason: string): StreamEvent {
  return { kind: 'tail-lost', reason };
}

const NO_BYTES = Buffer.alloc(0);
const FLOAT_BYTES = 4;

/** The fields of any op. */
interface Op {
  lsn: number;
  kind: number;
  collectionId: number;
  /** Field 2: a name or an id. */
  subject: Buffer;
  /** Field 3: a descriptor or a vector. */
  content: Buffer;
  payload: Buffer;
}

const Kind = { Create: 2, Drop: 3, Upsert: 4, Delete: 5 } as const;

/**
 * Turns ops into events, and holds them to what the bootstrap promises. A shard that breaks a promise is not the one
 * that this was written for: then nothing may be concluded from what it sent.
 */
export class EventReader {
  readonly #names = new Map<number, string>();
  #collection: { readonly id: number; readonly name: string } | null = null;
  #previousId: Buffer | null = null;
  #lsn = 0;

  /** Whether an op of the tail has come, which says that the bootstrap is complete. */
  get isInTail(): boolean {
    return this.#lsn > 0;
  }

  /** The events of messages that arrived together. @throws WireError */
  read(messages: readonly Buffer[]): StreamEvent[] {
    const events: StreamEvent[] = [];
    let rows: Row[] | null = null;
    for (const message of messages) {
      const op = readOp(message);
      if (op.lsn > 0) {
        this.#readTail(op, events);
      } else if (this.isInTail) {
        throw new WireError('a row of the bootstrap came after its end');
      } else if (op.kind === Kind.Upsert) {
        const row = this.#readRow(op);
        if (rows === null) events.push({ kind: 'rows', collection: this.#collection!.name, rows: (rows = []) });
        rows.push(row);
      } else if (op.kind === Kind.Create) {
        rows = null;
        events.push(this.#readCollection(op));
      } else {
        throw new WireError('the bootstrap holds something else than collections and rows');
      }
    }
    return events;
  }

  #readCollection({ collectionId, subject, content }: Op): BootstrapEvent {
    if (this.#names.has(collectionId)) throw new WireError('a collection came twice');
    const name = subject.toString('utf8');
    this.#names.set(collectionId, name);
    this.#collection = { id: collectionId, name };
    this.#previousId = null;
    return { kind: 'collection', collectionId, name, descriptor: content };
  }

  #readRow(op: Op): Row {
    if (this.#collection?.id !== op.collectionId) throw new WireError('a row came outside of its collection');
    const row = rowOf(op);
    if (this.#previousId !== null && this.#previousId.compare(row.id) >= 0) {
      throw new WireError('the rows do not come in byte order of their ids');
    }
    this.#previousId = row.id;
    return row;
  }

  #readTail(op: Op, events: StreamEvent[]): void {
    const { lsn, kind, collectionId, subject, content } = op;
    if (!this.isInTail) events.push({ kind: 'bootstrap-end' });
    else if (lsn !== this.#lsn + 1) throw new WireError('the tail has a gap');
    this.#lsn = lsn;
    if (kind === Kind.Create) {
      const collection = subject.toString('utf8');
      this.#names.set(collectionId, collection);
      return void events.push({ kind: 'tail-create', lsn, collection, collectionId, descriptor: content });
    }
    const collection = this.#names.get(collectionId);
    if (collection === undefined) throw new WireError('the tail names a collection that nobody created');
    if (kind === Kind.Upsert) events.push({ kind: 'tail-upsert', lsn, collection, row: rowOf(op) });
    else if (kind === Kind.Delete) events.push({ kind: 'tail-delete', lsn, collection, id: subject });
    else events.push({ kind: 'tail-drop', lsn, collection });
  }
}

function rowOf({ subject, content, payload }: Op): Row {
  if (content.length % FLOAT_BYTES !== 0) throw new WireError('a vector does not consist of 32-bit floats');
  return { id: subject, vector: content, payload };
}

function readOp(message: Buffer): Op {
  const op: Op = { lsn: 0, kind: 0, collectionId: 0, subject: NO_BYTES, content: NO_BYTES, payload: NO_BYTES };
  const reader = new WireReader(message);
  while (reader.next()) {
    if (reader.field === 1) {
      op.lsn = reader.number();
    } else if (reader.field >= Kind.Create && reader.field <= Kind.Delete) {
      op.kind = reader.field;
      readFields(op, reader.message());
    } else {
      reader.skip();
    }
  }
  // An op of a kind that is not known here may change anything.
  if (op.kind === 0) throw new WireError('an op of an unknown kind came');
  return op;
}

function readFields(op: Op, reader: WireReader): void {
  while (reader.next()) {
    if (reader.field === 1) op.collectionId = reader.number();
    else if (reader.field === 2) op.subject = reader.bytes();
    else if (reader.field === 3) op.content = reader.bytes();
    else if (reader.field === 4) op.payload = reader.bytes();
    else reader.skip();
  }
}
