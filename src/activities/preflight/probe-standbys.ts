import { DomainError } from '../../domain/errors';
import type { ShardAddress } from '../../domain/shard-map';
import type { StandbyFinding } from '../../contract/evaluation-activities';
import { describeIdentity } from '../../domain/shard-identity';
import { readIdentity } from '../../shards/http/shard-identity';
import { preflightGrow } from './preflight-grow';
import { ShardError } from '../../shards/errors';
import type { ActivityScope } from '../frame/run-activity';

const LOOK_TIMEOUT_MS = 3_000;

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
    return { primaryUrl, problem: await whoseIsIt(scope, standby) };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { primaryUrl, problem: error.message };
  }
}

/** A grow by it would be refused. Only looks: the grow itself claims it. */
async function whoseIsIt({ attempt, shards }: ActivityScope, standby: ShardAddress): Promise<string | null> {
  try {
    const seen = await readIdentity(shards.client(standby), attempt.readingFor(LOOK_TIMEOUT_MS));
    if (seen === null) return null;
    return `expected ${standby.primary_url} to belong to no cluster, it shows ${describeIdentity(seen)}: take it out of the standbys`;
  } catch (error) {
    if (error instanceof ShardError) return error.message;
    throw error;
  }
}
