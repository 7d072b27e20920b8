import type { Dispatcher } from 'undici';
import type { ShardAddress } from '../../domain/shard-map';
import { ShardKeys, type Key, type KeySource } from '../../shards/reach/shard-keys';
import { Reach, type ReachOptions } from '../../shards/reach/reach';
import { ShardClient } from '../../shards/http/shard-client';
import { grpcUrlOf, ShardGrpc } from '../../shards/stream/shard-grpc';

const CLIENTS_MAX = 4_096;

/** The clients of one process or thread, one per address. A client keeps its connections. */
export class RemoteClients {
  readonly grpcPortOffset: number;
  /** By primary URL: µs a row of the slowest scan of that shard. */
  readonly slowestScans = new Map<string, number>();
  readonly #key: ShardKeys;
  readonly #reach: Reach;
  readonly #dispatcher: Dispatcher;
  readonly #rest = new Map<string, ShardClient>();
  readonly #grpc = new Map<string, ShardGrpc>();

  constructor(options: {
    key: Key | KeySource;
    dispatcher?: Dispatcher | undefined;
    reach?: ReachOptions | undefined;
    grpcPortOffset: number;
  }) {
    this.#key = ShardKeys.of(options.key);
    this.#reach = new Reach(options.reach);
    this.#dispatcher = options.dispatcher ?? this.#reach.dispatcher;
    this.grpcPortOffset = options.grpcPortOffset;
  }

  rest({ primary_url, replica_urls }: ShardAddress): ShardClient {
    const key = [primary_url, ...replica_urls].join(' ');
    return remembered(this.#rest, key, () => {
      return new ShardClient({ address: { primary_url, replica_urls }, key: this.#key, dispatcher: this.#dispatcher });
    });
  }

  grpc(url: string): ShardGrpc {
    return remembered(this.#grpc, url, () => new ShardGrpc({ url, key: this.#key, reach: this.#reach }));
  }

  /** By default so many ports above the REST address of the same host. */
  grpcUrlOf(restUrl: string): string {
    return grpcUrlOf(restUrl, this.grpcPortOffset);
  }

  close(): void {
    for (const client of this.#grpc.values()) client.close();
  }
}

function remembered<T>(clients: Map<string, T>, key: string, make: () => T): T {
  let client = clients.get(key);
  if (client !== undefined) return client;
  const [oldest] = clients.keys();
  if (clients.size >= CLIENTS_MAX && oldest !== undefined) clients.delete(oldest);
  clients.set(key, (client = make()));
  return client;
}
