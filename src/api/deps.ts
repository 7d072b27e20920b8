/** What the API needs of the process that it runs in. */
import type { Logger } from 'pino';
import type { AutoscaleClient } from '../client/autoscale-client';
import type { ClusterClient } from '../client/cluster-client';
import type { RestoreCluster } from '../client/restore-cluster';
import type { OperationSettings } from '../contract/requests';
import type { Authenticator } from './http/auth';
import type { LockWatch } from './lock-watch';
import type { MapReader } from './map/reader';
import type { ProbeShard } from './http/shard-probe';

export interface ApiDeps {
  readonly cluster: string;
  readonly namespace: string;
  readonly client: Pick<
    ClusterClient,
    | 'queryMap'
    | 'queryState'
    | 'applyTransition'
    | 'startOperation'
    | 'queryProgress'
    | 'describeOperation'
    | 'cancelOperation'
  >;
  readonly autoscale: Pick<AutoscaleClient, 'readState' | 'syncSchedule' | 'evaluate'>;
  readonly mapReader: MapReader;
  readonly authenticator: Authenticator;
  readonly probeShard: ProbeShard;
  /** For the operations that start here. */
  readonly settings: OperationSettings;
  /** Every request has it glance at the lock. */
  readonly lockWatch: LockWatch;
  readonly restoreCluster: RestoreCluster;
  /** Base address of the Temporal Web UI for links, or null. */
  readonly webUiUrl: string | null;
  readonly logger: Logger;
}
