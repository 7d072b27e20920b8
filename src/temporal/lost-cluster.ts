/** Routers remember what a lost Temporal does not: a cluster that they hold a later map of is not a new one. */
import type { Logger } from 'pino';
import { ConfigError } from '../config';

/** The version of the map that the router at this URL holds. Gives up at the deadline (ms since the epoch). */
export type AskRouter = (url: string, deadlineMs: number) => Promise<number>;

export interface RoutersToAsk {
  readonly urls: readonly string[];
  readonly ask: AskRouter;
  readonly logger: Logger;
}

const ROUTER_PATIENCE_MS = 3_000;

/**
 * INV-1: a cluster that begins below the version of a router would be ignored by it, and then misread: the same versions would mean other
 * maps. `source` names where the first state comes from. A router that does not answer is no reason to refuse a start.
 * @throws ConfigError
 */
export async function refuseLostCluster(
  first: { readonly cluster: string; readonly version: number; readonly source: string },
  routers: RoutersToAsk,
): Promise<void> {
  const { urls, ask, logger } = routers;
  const deadlineMs = Date.now() + ROUTER_PATIENCE_MS;
  const held = await Promise.all(
    urls.map(async (url) => {
      try {
        return { url, version: await ask(url, deadlineMs) };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        logger.warn({ router: url, reason }, 'a router did not say which map it holds before the cluster is created');
        return { url, version: -1 };
      }
    }),
  );
  const ahead = held.filter(({ version }) => version > first.version);
  if (ahead.length === 0) return;
  const latest = Math.max(...ahead.map(({ version }) => version));
  const seen = ahead.map(({ url, version }) => `${url} at version ${version}`).join(', ');
  throw new ConfigError(
    `COORDINATOR_ROUTER_URLS: expected routers that hold no later map than cluster ${first.cluster} would begin with ` +
      `(version ${first.version} of ${first.source}), got ${seen}: the cluster existed and this Temporal has lost it, or is another one ` +
      '(a wiped namespace, another COORDINATOR_DATA_DIR, another TEMPORAL_ADDRESS or COORDINATOR_CLUSTER). Go back to the one that has it, or ' +
      `restore the map: give QUIVER_COORDINATOR_STATE a state file {next_id, map} with a version above ${latest}`,
  );
}
