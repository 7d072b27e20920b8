import type { Dispatcher } from 'undici';
import { DomainError } from '../../domain/errors';
import { GRPC_PORT_OFFSET, SHARDS_MAX } from '../../domain/limits';
import { defaultGrpcUrl, type ShardAddress } from '../../domain/shard-map';
import { ShardClient } from '../../shards/http/shard-client';
import { ShardHttp } from '../../shards/http/shard-http';
import { ShardKeys, type Key } from '../../shards/reach/shard-keys';
import { OPEN_REACH, type Reach } from '../../shards/reach/reach';
import type { Move } from '../../contract/move';

/**
 * The shards that this process talks to, one client per set of addresses. A client remembers the leader among them and
 * keeps its connections. All share one pool.
 */
export class ShardDirectory {
  readonly key: ShardKeys;
  readonly dispatcher: Dispatcher;
  readonly reach: Reach;
  readonly #grpcPortOffset: number;
  readonly #clients = new Map<string, ShardClient>();

  constructor(options: {
    key: Key;
    dispatcher?: Dispatcher | undefined;
    reach?: Reach | undefined;
    grpcPortOffset?: number | undefined;
  }) {
    this.key = ShardKeys.of(options.key);
    this.reach = options.reach ?? OPEN_REACH;
    this.dispatcher = options.dispatcher ?? this.reach.dispatcher;
    this.#grpcPortOffset = options.grpcPortOffset ?? GRPC_PORT_OFFSET;
  }

  /** Where the primary's gRPC answers. */
  grpcUrl({ primary_url, grpc_url }: ShardAddress): string {
    return grpc_url ?? defaultGrpcUrl(primary_url, this.#grpcPortOffset);
  }

  client(address: ShardAddress): ShardClient {
    const addresses = [address.primary_url, ...address.replica_urls].join(' ');
    const known = this.#clients.get(addresses);
    if (known !== undefined) return known;
    // Addresses come and go with operations. The oldest client goes first: those in use must keep their leaders.
    const [oldest] = this.#clients.keys();
    if (this.#clients.size >= 2 * SHARDS_MAX && oldest !== undefined) this.#clients.delete(oldest);
    const client = this.patientClient(address);
    this.#clients.set(addresses, client);
    return client;
  }

  /** A separate client with another time-out for each request. */
  patientClient(address: ShardAddress, requestTimeoutMs?: number): ShardClient {
    return new ShardClient({
      address: { primary_url: address.primary_url, replica_urls: address.replica_urls },
      key: this.key,
      dispatcher: this.dispatcher,
      ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
    });
  }

  /** For calls that ShardClient does not have. */
  http(address: ShardAddress): ShardHttp {
    const { primary_url, replica_urls } = address;
    return new ShardHttp({ address: { primary_url, replica_urls }, key: this.key, dispatcher: this.dispatcher });
  }

  /** @throws DomainError UnknownShard, when the move names no address for `shardId` */
  ofMove(move: Move, shardId: number): ShardClient {
    const shard = move.shards.find((each) => each.id === shardId);
    if (shard !== undefined) return this.client(shard);
    throw new DomainError('UnknownShard', `shard ${shardId} takes part in this move, but its address was not given`);
  }
}
