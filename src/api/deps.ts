/** What the API needs of the process that it runs in. */
import type { Logger } from 'pino';
import type { AutoscaleClient } from '../client/autoscale-client';
import type { ClusterClient } from '../client/cluster-client';
import type { DiagnosisClient } from '../client/diagnosis-client';
import type { PlanClient } from '../client/operations/plan-client';
import type { RestoreCluster } from '../client/cluster/restore-cluster';
import type { SeenIdentity, ShardIdentity } from '../domain/shard-identity';
import type { Shard, ShardAddress } from '../domain/shard-map';
import type { Tracer } from '../tracing/tracer';
import type { OperationSettings } from '../contract/requests';
import type { Authenticator } from './http/auth';
import type { SecretSeal } from '../client/hook-secrets';
import type { HooksClient } from '../client/hooks-client';
import type { EventHub } from './events/hub';
import type { LockWatch } from './lock-watch';
import type { MapPollers } from './map/pollers';
import type { MapReader } from './map/reader';
import type { ApiMetricsPage } from './metrics/page';
import type { RouterList } from './router-list';
import type { ProbeShard } from './http/shard-probe';

/** The identities on the shards. Its failures are DomainErrors. */
export interface Marks {
  look(address: ShardAddress): Promise<MarkLook>;
  claim(address: ShardAddress, identity: ShardIdentity): Promise<void>;
  requireReplica(url: string, expected: Pick<ShardIdentity, 'clusterUid' | 'shardId'>): Promise<void>;
  /** Null when it is gone; else why it may still be there. */
  remove(shard: Shard, clusterUid: string): Promise<string | null>;
  /** Null when the shard does not tell (INV-8). */
  rows(address: ShardAddress): Promise<number | null>;
  grpcUrl(address: ShardAddress): string;
}

export type MarkLook =
  { readonly kind: 'seen'; readonly seen: SeenIdentity | null } | { readonly kind: 'unknown'; readonly reason: string };

export interface ApiDeps {
  readonly cluster: string;
  readonly namespace: string;
  readonly client: Pick<
    ClusterClient,
    | 'queryMap'
    | 'queryState'
    | 'queryRouters'
    | 'applyTransition'
    | 'startOperation'
    | 'queryProgress'
    | 'describeOperation'
    | 'cancelOperation'
    | 'adjustOperation'
    | 'clusterFailingTask'
  >;
  /** Says what an operation would do. */
  readonly planner: Pick<PlanClient, 'plan'>;
  /** Looks at Temporal, the workers and the shards. */
  readonly diagnosis: Pick<DiagnosisClient, 'examine'>;
  readonly autoscale: Pick<AutoscaleClient, 'readState' | 'syncSchedule' | 'evaluate'>;
  readonly mapReader: MapReader;
  readonly authenticator: Authenticator;
  /** Every poll of the map is noted. */
  readonly pollers: Pick<MapPollers, 'note'>;
  readonly routers: Pick<RouterList, 'seed' | 'entries' | 'view' | 'sharedView'>;
  readonly probeShard: ProbeShard;
  readonly marks: Marks;
  /** Refuses URLs that the coordinator may not call. @throws DomainError AddressNotAllowed */
  readonly requireAllowed: (urls: readonly string[]) => Promise<void>;
  /** For the operations that start here. */
  readonly settings: OperationSettings;
  /** Every request has it glance at the lock. */
  readonly lockWatch: LockWatch;
  readonly restoreCluster: RestoreCluster;
  /** What Prometheus reads of this process. */
  readonly metrics: ApiMetricsPage;
  /** Who is told of changes while they happen. */
  readonly events: EventHub;
  /** Webhooks. `seal` null: no secret can be kept. */
  readonly hooks: { readonly client: Pick<HooksClient, 'read' | 'replace'>; readonly seal: SecretSeal | null };
  /** Base address of the Temporal Web UI for links, or null. */
  readonly webUiUrl: string | null;
  /** Null without tracing. */
  readonly tracer: Tracer | null;
  readonly logger: Logger;
}
