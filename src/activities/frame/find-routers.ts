import type { RouterList } from '../../contract/move';
import { ClientError } from '../../client/calls/errors';
import type { FoundRouters } from '../../domain/router-entries';
import { RouterResolver } from '../../shards/reach/router-resolver';
import type { Reach } from '../../shards/reach/reach';
import { clientFailure, clusterClients, type ClusterClientDeps } from './cluster-clients';

/** Fails, as a call of the cluster does, when its list cannot be read. A name that does not resolve is no failure. */
export type FindRouters = (list: RouterList) => Promise<FoundRouters>;

/** The list is read at each call: somebody may have changed it while an operation waits. */
export function createFindRouters(deps: ClusterClientDeps, reach: Reach): FindRouters {
  const clientOf = clusterClients(deps);
  const resolver = new RouterResolver(reach);
  return async ({ cluster, routerUrls }) => {
    if (cluster === undefined) return resolver.find(routerUrls);
    try {
      return await resolver.find((await clientOf(cluster).queryRouters()) ?? routerUrls);
    } catch (error) {
      // A worker of an earlier release keeps the cluster, and knows no list.
      if (error instanceof ClientError && error.code === 'QueryUnknown') return resolver.find(routerUrls);
      throw clientFailure(error, cluster, 'retry');
    }
  };
}
