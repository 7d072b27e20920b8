import { PointWalk } from '../../shards/rows/point-walk';
import type { ShardClient } from '../../shards/http/shard-client';
import type { RowSource, ScanEvent } from '../ports';
import { unreadable } from './documents/unreadable';
import { rowOfElement } from './json-rows';
import type { RemoteJob } from './remote-job';

/** Page by page over REST. Every page stops the shard for one scan, and there is no tail. */
export class PageSource implements RowSource {
  readonly kind = 'pages';
  readonly url: string;
  readonly reason: string;
  readonly #job: RemoteJob;
  readonly #client: ShardClient;

  constructor(job: RemoteJob, client: ShardClient, url: string, reason: string) {
    this.#job = job;
    this.#client = client;
    this.url = url;
    this.reason = reason;
  }

  async *scan(signal: AbortSignal): AsyncGenerator<ScanEvent> {
    const ctx = { ...this.#job.reading, signal };
    const startedAtMs = this.#job.nowMs();
    let stopMs: number | null = null;
    for (const { name, multivector, count } of await this.#client.listCollections(ctx)) {
      if (multivector === true) {
        if (count > 0) throw unreadable(name, this.url);
        continue;
      }
      const walk = new PointWalk({
        source: this.#client,
        collection: name,
        withPayload: true,
        withVector: true,
        from: null,
        ctx,
        absentIsEmpty: true,
      });
      try {
        for (let batch = await walk.next(); batch !== null; batch = await walk.next()) {
          if (stopMs === null) yield { kind: 'started', stopMs: (stopMs = this.#job.nowMs() - startedAtMs) };
          const rows = batch.elements.slice(batch.start).map(({ id, raw }) => rowOfElement(id, raw));
          yield { kind: 'rows', collection: name, rows };
        }
      } finally {
        await walk.suspend();
      }
    }
    yield { kind: 'cut-ended' };
    yield { kind: 'tail-lost' };
  }
}
