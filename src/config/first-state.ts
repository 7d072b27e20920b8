/** What the settings give a new cluster to begin with: the state file of Quiver's own coordinator, else the configured shards. */
import { readFileSync } from 'node:fs';
import { adoptState, seedState, type ClusterState } from '../domain/cluster-state';
import { DomainError } from '../domain/errors';
import { normalizeMap } from '../domain/shard-map';
import { stateFileSchema } from '../wire/cluster-map';
import { describeIssues } from '../wire/problem';
import { ConfigError, type Config } from '.';

/** Null when the settings name nothing to begin with. @throws ConfigError */
export function firstState(
  config: Pick<Config, 'seedShards' | 'stateFile'>,
): { state: ClusterState; source: string } | null {
  if (config.stateFile !== null) return { state: readStateFile(config.stateFile), source: config.stateFile };
  if (config.seedShards.length > 0) return { state: seedState(config.seedShards), source: 'QUIVER_CLUSTER_SHARDS' };
  return null;
}

/** For a cluster that does not exist and has nothing to begin with. */
export function noFirstState(cluster: string): ConfigError {
  return new ConfigError(
    `QUIVER_CLUSTER_SHARDS: expected the shards of cluster ${cluster}, which does not exist yet, got none: ` +
      'give for instance [http://s0:6333,http://s1:6333], or QUIVER_COORDINATOR_STATE to take a cluster over',
  );
}

/** @throws ConfigError. Falling back to the configured shards would begin again at version 0, which routers ignore or misread. */
export function readStateFile(path: string): ClusterState {
  const refuse = (seen: string): never => {
    throw new ConfigError(
      `QUIVER_COORDINATOR_STATE: expected a state file {next_id, map}, got ${path} ${seen}: ` +
        'correct the path or the file, or leave it out for a cluster that never had a coordinator',
    );
  };
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return refuse(code === undefined ? 'which is not JSON' : `which cannot be read (${code})`);
  }
  const parsed = stateFileSchema.safeParse(content);
  if (!parsed.success) return refuse(`with a mistake (${describeIssues(parsed.error)})`);
  try {
    return adoptState({ next_id: parsed.data.next_id, map: normalizeMap(parsed.data.map) });
  } catch (error) {
    if (error instanceof DomainError) return refuse(`with a mistake (${error.message})`);
    throw error;
  }
}
