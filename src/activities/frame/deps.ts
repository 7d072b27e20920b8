import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Dispatcher } from 'undici';
import type { SecretSeal } from '../../client/hook-secrets';
import type { WatchRegistry } from '../../shards/http/watch-registry';
import type { Key } from '../../shards/reach/shard-keys';
import type { Reach } from '../../shards/reach/reach';
import type { Engine } from '../../rows/thread/engine';
import type { Clock } from './attempt';

/** What activities need of the process that they run in. */
export interface ActivityDeps {
  /** Presented to shards and routers as bearer key. Never part of an input, a result or a message. */
  readonly shardKey: Key;
  /** How far the gRPC port of a shard is from its REST port, unless the shard has an address for it. Default 1. */
  readonly grpcPortOffset?: number | undefined;
  readonly client: Client;
  readonly logger: Logger;
  /** Opens the secrets of webhooks. Absent: hooks with a secret cannot be told. */
  readonly hookSeal?: SecretSeal | null;
  /** Which shards and routers may be called. Without it, those of OPEN_REACH. */
  readonly reach?: Reach;
  /** How they are reached, when not by the connections of `reach`. */
  readonly dispatcher?: Dispatcher;
  /** Absent: the clock of the machine. */
  readonly clock?: Clock;
  /** The task queue that only this worker listens on. Absent: it has none, so a watch is read where the next task goes. */
  readonly ownTaskQueue?: string;
  /** The watches of this process, for whoever has to close them. Absent: a registry that nobody closes. */
  readonly watches?: WatchRegistry;
  /** What reads and writes rows, for whoever has to close it. Absent: one in this thread. */
  readonly engine?: Engine;
  /** Where it keeps ids of points. Absent: a folder of this user among the temporary ones. */
  readonly spoolFolder?: string;
}
