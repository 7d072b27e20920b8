/** Gives the cluster the limits of the settings, as router-list.ts gives it their routers. */
import type { Logger } from 'pino';
import type { ClusterClient } from '../client/cluster-client';
import { areLimitsByHand } from '../domain/limit-transitions';
import { isNoLimit, type ClusterLimits } from '../domain/work-limits';
import { onceAtStart } from './once-at-start';

export interface LimitSeedOptions {
  /** COORDINATOR_LIMITS_* */
  readonly seed: ClusterLimits;
  readonly client: Pick<ClusterClient, 'queryState' | 'applyTransition'>;
  readonly logger: Logger;
}

/** Once, at the start of an API. Never throws. */
export function seedClusterLimits(options: LimitSeedOptions, stopping: AbortSignal): Promise<void> {
  return onceAtStart(() => seedOnce(options), { what: 'the limits', logger: options.logger, stopping });
}

async function seedOnce({ seed, client, logger }: LimitSeedOptions): Promise<void> {
  const state = await client.queryState();
  const { limits, lock } = state;
  if (isSame(limits, seed)) return;
  if (isNoLimit(seed)) {
    // Nobody who set none expects any.
    if (limits === undefined || areLimitsByHand(state)) return;
    logger.warn(
      { limits },
      'no COORDINATOR_LIMITS_* is set any more, and the limits count as they were: lift them with PUT /cluster/limits',
    );
    return;
  }
  if (areLimitsByHand(state)) {
    logger.warn(
      { settings: seed, limits },
      'COORDINATOR_LIMITS_* differ from the limits, which were set by hand and count: see GET /cluster/limits',
    );
    return;
  }
  if (lock !== null) {
    logger.warn(
      { settings: seed, limits: limits ?? null, operationId: lock.operationId },
      'COORDINATOR_LIMITS_* only tighten limits while an operation runs: start an API again after it, or use PUT /cluster/limits',
    );
  }
  await client.applyTransition({ type: 'seedLimits', limits: seed });
}

function isSame(limits: ClusterLimits | undefined, seed: ClusterLimits): boolean {
  return (
    limits !== undefined && (Object.keys(seed) as (keyof ClusterLimits)[]).every((key) => limits[key] === seed[key])
  );
}
