/** The identities of shards, for the API: one bounded look or write at a time, and nothing thrown but what a caller can act on. */
import type { Dispatcher } from 'undici';
import { steadyNowMs } from '../steady-clock';
import { DomainError } from '../../domain/errors';
import { defaultGrpcUrl, type Shard, type ShardAddress } from '../../domain/shard-map';
import type { SeenIdentity, ShardIdentity } from '../../domain/shard-identity';
import type { Key } from '../reach/shard-keys';
import { ShardError } from '../errors';
import type { CallContext } from './call-timer';
import { checkReplica } from './replica-identity';
import { ShardClient } from './shard-client';
import { claim, dropIdentity, readIdentity } from './shard-identity';

const CALL_TIMEOUT_MS = 3_000;

export interface ShardMarksOptions {
  readonly key: Key;
  readonly grpcPortOffset: number;
  readonly dispatcher?: Dispatcher | undefined;
}

/** INV-8: an address that did not answer is not one without an identity. */
export type MarkLook =
  { readonly kind: 'seen'; readonly seen: SeenIdentity | null } | { readonly kind: 'unknown'; readonly reason: string };

export class ShardMarks {
  readonly #options: ShardMarksOptions;

  constructor(options: ShardMarksOptions) {
    this.#options = options;
  }

  /** @throws DomainError ShardClaimed, when what the shard shows cannot be understood */
  async look(address: ShardAddress): Promise<MarkLook> {
    try {
      return { kind: 'seen', seen: await readIdentity(this.#client(address), inTime()) };
    } catch (error) {
      if (error instanceof ShardError) return { kind: 'unknown', reason: error.message };
      throw error;
    }
  }

  /** @throws DomainError IdentityRefused, ShardClaimed, ShardOfAnotherCluster, DonorUnreachable */
  async claim(address: ShardAddress, identity: ShardIdentity): Promise<void> {
    await answering(address.primary_url, () => claim(this.#client(address), identity, inTime()));
  }

  /** @throws DomainError WrongShard, DonorUnreachable */
  async requireReplica(url: string, expected: Pick<ShardIdentity, 'clusterUid' | 'shardId'>): Promise<void> {
    const replica = this.#client({ primary_url: url, replica_urls: [] });
    await answering(url, () => checkReplica(replica, { url, expected }, inTime()));
  }

  /** Null when it is gone, or was never there; else why it may still be there. */
  async remove(shard: Shard, clusterUid: string): Promise<string | null> {
    try {
      const dropped = await dropIdentity(this.#client(shard), { clusterUid, shardId: shard.id }, inTime());
      return dropped === 'foreign' ? 'it shows another identity, which was left alone' : null;
    } catch (error) {
      if (error instanceof ShardError || error instanceof DomainError) return error.message;
      throw error;
    }
  }

  /** Null when the shard does not tell: unknown is not zero (INV-8). */
  async rows(address: ShardAddress): Promise<number | null> {
    try {
      const collections = await this.#client(address).listCollections(inTime());
      return collections.reduce((sum, { count }) => sum + count, 0);
    } catch (error) {
      if (error instanceof ShardError) return null;
      throw error;
    }
  }

  grpcUrl({ primary_url, grpc_url }: ShardAddress): string {
    return grpc_url ?? defaultGrpcUrl(primary_url, this.#options.grpcPortOffset);
  }

  #client({ primary_url, replica_urls }: ShardAddress): ShardClient {
    const { key, dispatcher } = this.#options;
    return new ShardClient({
      address: { primary_url, replica_urls },
      key,
      dispatcher,
      requestTimeoutMs: CALL_TIMEOUT_MS,
    });
  }
}

function inTime(): CallContext {
  return { deadlineMs: steadyNowMs() + CALL_TIMEOUT_MS };
}

async function answering<T>(url: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof ShardError)) throw error;
    if (error.code === 'AddressNotAllowed') throw new DomainError('AddressNotAllowed', error.message);
    throw new DomainError(
      'DonorUnreachable',
      `expected ${url} to show whose shard it is, it did not (${error.message}): start it before it is given, ` +
        'because an address that does not answer cannot be told from a wrong one',
    );
  }
}
