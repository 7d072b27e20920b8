/** The pages of metrics of this process, put together from its parts. */
import type { Logger } from 'pino';
import { Listener } from './api/http/listener';
import type { Authenticator } from './api/http/auth';
import type { MetricsPage, MetricsPageOptions } from './api/metrics/page';
import { metricsListener } from './api/metrics/serve';
import type { Config } from './config';
import type { CoreMetrics } from './temporal/runtime';

/** As the service has them, which imports this file. */
type Role = 'serve' | 'api' | 'worker';

/** Only a worker runs Temporal's own library. A process without a page would collect its metrics for nobody. */
export function showsCore(role: Role, { metrics }: Config): boolean {
  return metrics.showsCore && role !== 'api' && (role === 'serve' || metrics.address !== null);
}

/** What the page shows in every role. */
export function pageOptions(role: Role, config: Config, core: CoreMetrics | null): MetricsPageOptions {
  return {
    cluster: config.cluster,
    role,
    isOpen: config.metrics.isOpen,
    showsProcess: true,
    readCore: core === null ? null : () => core.read(),
  };
}

/**
 * Listens where the settings want the page alone. Null: nowhere. In a worker this is the only listener.
 * @throws ConfigError when the address cannot be listened on
 */
export async function listenForMetrics(
  config: Config,
  deps: { readonly metrics: MetricsPage; readonly authenticator: Authenticator; readonly logger: Logger },
): Promise<Listener | null> {
  const { address } = config.metrics;
  if (address === null) return null;
  const setting = 'COORDINATOR_METRICS_ADDR';
  const listener = await Listener.listen({ ...address, setting }, metricsListener(deps), config.listenerLimits);
  deps.logger.info({ url: `${listener.url}/metrics` }, 'showing metrics');
  return listener;
}
