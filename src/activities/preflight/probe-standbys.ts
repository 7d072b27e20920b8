import { DomainError } from '../../domain/errors';
import type { ShardAddress } from '../../domain/shard-map';
import type { StandbyFinding } from '../../contract/evaluation-activities';
import { preflightGrow } from './preflight-grow';
import type { ActivityScope } from '../frame/run-activity';

/** Only reads, side by side: for each standby, what the preflight of a grow by it alone would say. */
export async function probeStandbys(
  scope: ActivityScope,
  { standbys }: { standbys: readonly ShardAddress[] },
): Promise<readonly StandbyFinding[]> {
  return Promise.all(standbys.map((standby) => probe(scope, standby)));
}

async function probe(scope: ActivityScope, standby: ShardAddress): Promise<StandbyFinding> {
  const primaryUrl = standby.primary_url;
  const alone = { joiners: [standby], donors: [], routerUrls: [], allowNonempty: false, mapVersion: 0 };
  try {
    await preflightGrow(scope, alone);
    return { primaryUrl, problem: null };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { primaryUrl, problem: error.message };
  }
}
