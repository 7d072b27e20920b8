import { isInternalCollection } from '../../../domain/shard-identity';
import type { ShardClient } from '../../../shards/http/shard-client';
import type { RemoteJob } from '../remote-job';

/** Which collections of a shard hold documents of several vectors. Asked once for each, and again when it was made anew. */
export class Kinds {
  readonly #job: RemoteJob;
  readonly #client: ShardClient;
  readonly #known = new Map<string, boolean>();

  constructor(job: RemoteJob, client: ShardClient) {
    this.#job = job;
    this.#client = client;
  }

  /** False for one that is gone. */
  async holdsDocuments(collection: string): Promise<boolean> {
    if (isInternalCollection(collection)) return false;
    const known = this.#known.get(collection);
    if (known !== undefined) return known;
    for (const { name, multivector } of await this.#client.listCollections(this.#job.reading)) {
      this.#known.set(name, multivector === true);
    }
    return this.#known.get(collection) ?? false;
  }

  forget(collection: string): void {
    this.#known.delete(collection);
  }
}
