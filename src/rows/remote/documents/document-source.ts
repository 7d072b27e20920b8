import { documentOf, tokenOf } from '../../../shards/stream/documents';
import type { Row, RowSource, ScanEvent } from '../../ports';
import type { Kinds } from './kinds';

const TOKEN_MARK = Buffer.from([0x1f]);

/** A source that shows documents where the one behind it shows their tokens. */
export class DocumentSource implements RowSource {
  readonly kind: RowSource['kind'];
  readonly url: string;
  readonly reason: string;
  readonly #tokens: RowSource;
  readonly #kinds: Kinds;

  constructor(tokens: RowSource, kinds: Kinds) {
    this.kind = tokens.kind;
    this.url = tokens.url;
    this.reason = tokens.reason;
    this.#tokens = tokens;
    this.#kinds = kinds;
  }

  async *scan(signal: AbortSignal): AsyncGenerator<ScanEvent> {
    let documents: { readonly collection: string; readonly grouping: Grouping } | null = null;
    const rest = (): ScanEvent[] => {
      const ended = documents;
      documents = null;
      return ended === null ? [] : rowsOf(ended.collection, ended.grouping.end());
    };
    for await (const event of this.#tokens.scan(signal)) {
      if (event.kind === 'rows') {
        if (documents !== null && documents.collection !== event.collection) yield* rest();
        if (await this.#kinds.holdsDocuments(event.collection)) {
          documents ??= { collection: event.collection, grouping: new Grouping() };
          yield* rowsOf(event.collection, documents.grouping.take(event.rows));
        } else yield event;
        continue;
      }
      if (event.kind === 'cut-ended') yield* rest();
      if (event.kind === 'collection-created' || event.kind === 'collection-dropped')
        this.#kinds.forget(event.collection);
      yield event.kind === 'changed' ? await this.#changed(event) : event;
    }
  }

  async #changed(event: Extract<ScanEvent, { kind: 'changed' }>): Promise<ScanEvent> {
    if (!(await this.#kinds.holdsDocuments(event.collection))) return event;
    return { ...event, id: tokenOf(event.id)?.document ?? event.id, isDelete: false };
  }
}

function rowsOf(collection: string, rows: readonly Row[]): ScanEvent[] {
  return rows.length === 0 ? [] : [{ kind: 'rows', collection, rows }];
}

/**
 * Tokens come in byte order of `<document>\x1f<n>`, documents must go on in byte order of theirs. That differs where an
 * id goes on with a byte below 0x1f behind another whole id: `a\x01` comes before `a`. So such ones are held back until
 * that other id can come no more.
 */
export class Grouping {
  #id: Buffer | null = null;
  #tokens = new Map<number, Row>();
  #held: Row[] = [];
  /** The last place in the order of tokens at which a document may come that goes before those that are held. */
  #heldUntil: Buffer | null = null;

  /** The documents that are complete now. */
  take(rows: readonly Row[]): Row[] {
    const ready: Row[] = [];
    for (const row of rows) {
      const of = tokenOf(row.id) ?? { document: row.id, token: 0 };
      if (this.#id?.equals(of.document) !== true) {
        this.#complete(ready);
        // Rows are views of what arrived, and a document may take long to be complete.
        this.#id = Buffer.from(of.document);
      }
      this.#tokens.set(of.token, { ...row, vector: Buffer.from(row.vector), payload: Buffer.from(row.payload) });
    }
    return ready;
  }

  end(): Row[] {
    const ready: Row[] = [];
    this.#complete(ready);
    this.#release(ready);
    return ready;
  }

  #complete(ready: Row[]): void {
    if (this.#id === null) return;
    const document = documentOf(this.#id, this.#tokens);
    this.#id = null;
    this.#tokens = new Map();
    const place = Buffer.concat([document.id, TOKEN_MARK]);
    if (this.#heldUntil !== null && place.compare(this.#heldUntil) > 0) this.#release(ready);
    const low = document.id.findIndex((byte) => byte < 0x1f);
    if (low >= 0) this.#heldUntil ??= Buffer.concat([document.id.subarray(0, low), TOKEN_MARK]);
    if (this.#heldUntil === null) ready.push(document);
    else this.#held.push(document);
  }

  #release(ready: Row[]): void {
    ready.push(...this.#held.sort((a, b) => a.id.compare(b.id)));
    this.#held = [];
    this.#heldUntil = null;
  }
}
