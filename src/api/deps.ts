/** What the API needs of the process that it runs in. */
import type { Logger } from 'pino';
import type { AutoscaleGateway } from '../client/autoscale-client';
import type { ClusterGateway } from '../client/cluster-client';
import type { RestoreCluster } from '../client/restore-cluster';
import type { OperationSettings } from '../contract/requests';
import type { Authenticator } from './http/auth';
import type { LockWatch } from './lock-watch';
import type { MapReader } from './map/reader';
import type { ProbeShard } from './routes/health';

export interface ApiDeps {
  readonly cluster: string;
  readonly namespace: string;
  readonly gateway: ClusterGateway;
  readonly autoscale: AutoscaleGateway;
  readonly mapReader: MapReader;
  readonly authenticator: Authenticator;
  readonly probeShard: ProbeShard;
  /** What operations that are started here are told. */
  readonly settings: OperationSettings;
  /** Glances at the lock on every request. */
  readonly lockWatch: LockWatch;
  readonly restoreCluster: RestoreCluster;
  /** Base address of the Temporal Web UI for links, or null. */
  readonly webUiUrl: string | null;
  readonly logger: Logger;
}
