/** What the tests of the domain begin with. */
import { DomainError } from '../../src/domain/errors';
import type { ShardAddress } from '../../src/domain/shard-map';

/** The address of the shard `name`, with replicas by their names. */
export function at(name: string, ...replicas: string[]): ShardAddress {
  return { primary_url: `http://${name}:6333`, replica_urls: replicas.map((each) => `http://${each}:6333`) };
}

/** The code of the DomainError that `step` throws, or `no error`. */
export function codeOf(step: () => unknown): string {
  try {
    step();
  } catch (error) {
    if (error instanceof DomainError) return error.code;
    throw error;
  }
  return 'no error';
}
