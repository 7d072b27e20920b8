/**
 * What every preflight looks at. Only reads, side by side, each within PROBE_TIMEOUT_MS, because a REST call waits for
 * all of them. A finding is a DomainError that tells the caller what was expected, what was seen and what to do.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, type DomainErrorCode } from '../../domain/errors';
import type { RouterList } from '../../contract/move';
import type { Shard, ShardAddress } from '../../domain/shard-map';
import { ShardError } from '../../shards/errors';
import { routerVersion } from '../../shards/http/router-client';
import type { CallContext } from '../../shards/http/shard-client';
import { listFully, type FullCollection } from '../collections/full-list';
import { schemaDifference } from '../collections/schemas';
import { mapInParallel, SHARDS_ASKED_AT_ONCE } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';

const PROBE_TIMEOUT_MS = 3_000;
/**
 * How long a client may take to create or drop a collection on all shards. After that the shards count as disagreeing.
 */
const CLIENT_CREATES_MS = 500;

export type Collections = readonly FullCollection[];

/** The part that a shard takes. A `stayer` stays while another shard leaves. */
export type Role = 'joiner' | 'donor' | 'leaver' | 'stayer';
type Refusals = Record<Role, { unreachable: DomainErrorCode; refused: DomainErrorCode; name: string; next: string }>;

const REFUSALS: Refusals = {
  joiner: {
    unreachable: 'JoinerUnreachable',
    refused: 'JoinerRefusedKey',
    name: 'the joiner',
    next: 'start it, or correct primary_url',
  },
  donor: {
    unreachable: 'DonorUnreachable',
    refused: 'DonorRefusedKey',
    name: 'the donor',
    next: 'bring it back before the cluster grows: its points cannot be moved without it',
  },
  leaver: {
    unreachable: 'DonorUnreachable',
    refused: 'DonorRefusedKey',
    name: 'the leaving shard',
    next: 'bring it back before it leaves: its points cannot be moved without it',
  },
  stayer: {
    unreachable: 'DonorUnreachable',
    refused: 'DonorRefusedKey',
    name: 'the staying shard',
    next: 'bring it back before another shard leaves: it takes over points of that shard',
  },
};

/** The answer of a shard or router, or why there is none. */
interface Probe<T> {
  readonly url: string;
  readonly result: PromiseSettledResult<T>;
}
export type ShardProbe = Probe<Collections> & { readonly role: Role };
export type RouterProbe = Probe<number>;

/** Behind one that does not answer nobody else is asked: requireAnswer refuses anyway, and a caller waits. */
export async function probeShards<S extends ShardAddress>(
  scope: ActivityScope,
  shards: readonly S[],
  roleOf: (shard: S) => Role,
): Promise<readonly ShardProbe[]> {
  let isRefused = false;
  const probes = await mapInParallel(shards, SHARDS_ASKED_AT_ONCE, async (shard) => {
    if (isRefused) return null;
    const probe = await probeShard(scope, shard, roleOf(shard));
    isRefused ||= probe.result.status === 'rejected';
    return probe;
  });
  return probes.filter((probe) => probe !== null);
}

async function probeShard(scope: ActivityScope, address: ShardAddress, role: Role): Promise<ShardProbe> {
  const [result] = await Promise.allSettled([probeCollections(scope, address)]);
  return { url: address.primary_url, role, result };
}

/** All routers of the list, just now. A name that does not resolve counts as a router that does not answer (INV-8). */
export async function probeRouters(scope: ActivityScope, list: RouterList): Promise<readonly RouterProbe[]> {
  const { cluster, routerUrls } = list;
  const found = await scope.findRouters({ routerUrls, ...(cluster === undefined ? {} : { cluster }) });
  const probes = await Promise.all(found.routers.map(({ url }) => probeRouter(scope, url)));
  const unknown = found.unknown.map(({ entry, reason }): RouterProbe => {
    const message = `its routers are not known: ${reason}`;
    return { url: entry, result: { status: 'rejected', reason: routerUnreachable(entry, message) } };
  });
  return [...probes, ...unknown];
}

async function probeRouter({ attempt, shards }: ActivityScope, url: string): Promise<RouterProbe> {
  const ask = (ctx: CallContext): Promise<number> => routerVersion(url, shards.key, ctx, shards.dispatcher);
  const [result] = await Promise.allSettled([onceMoreIfCut(attempt.readingFor(PROBE_TIMEOUT_MS), ask)]);
  return { url, result };
}

async function probeCollections(scope: ActivityScope, address: ShardAddress): Promise<Collections> {
  const { attempt, shards } = scope;
  return await onceMoreIfCut(attempt.readingFor(PROBE_TIMEOUT_MS), async (ctx) => {
    await shards.client(address).findLeader(ctx);
    return await listFully(scope, address, ctx);
  });
}

/** The other side may have closed a kept-alive connection since its last use. A new one tells what is true. */
export async function onceMoreIfCut<T>(ctx: CallContext, ask: (ctx: CallContext) => Promise<T>): Promise<T> {
  try {
    return await ask(ctx);
  } catch (error) {
    if (!(error instanceof ShardError) || error.code !== 'Unreachable') throw error;
    return await ask(ctx);
  }
}

/** @throws DomainError with a code of its role */
export function requireAnswer({ result, role, url }: ShardProbe): Collections {
  if (result.status === 'fulfilled') return result.value;
  throw refusalOf(result.reason, role, { url, expected: `list its collections within ${PROBE_TIMEOUT_MS} ms` });
}

/** What a failed call to a shard says to the caller. Any other error is returned as it is. */
export function refusalOf(error: unknown, role: Role, asked: { url: string; expected: string }): unknown {
  if (!(error instanceof ShardError)) return error;
  const { unreachable, refused, name, next } = REFUSALS[role];
  const { url, expected } = asked;
  if (error.code === 'AddressNotAllowed') return new DomainError('AddressNotAllowed', error.message);
  if (error.code === 'Unauthorized' || error.code === 'Forbidden') {
    const wanted = `expected ${name} ${url} to accept the key of QUIVER_CLUSTER_SHARD_KEY`;
    return new DomainError(refused, `${wanted}, it did not (${error.message})`);
  }
  return new DomainError(unreachable, `expected ${name} ${url} to ${expected}, it did not: ${next} (${error.message})`);
}

/** @throws DomainError RouterUnreachable, RouterAhead */
export function requireRouter({ result, url }: RouterProbe, mapVersion: number): void {
  if (result.status === 'fulfilled') {
    if (result.value <= mapVersion) return;
    throw new DomainError(
      'RouterAhead',
      `expected the router ${url} to hold map version ${mapVersion} or an older one, it holds ${result.value} and will never adopt ours: ` +
        'it follows another coordinator, or this cluster was lost; point it to this coordinator and restart it, or restore the cluster',
    );
  }
  const error: unknown = result.reason;
  if (!(error instanceof ShardError)) throw error;
  if (error.code === 'AddressNotAllowed') throw new DomainError('AddressNotAllowed', error.message);
  throw routerUnreachable(url, error.message);
}

function routerUnreachable(url: string, reason: string): DomainError {
  return new DomainError(
    'RouterUnreachable',
    `expected the router ${url} to tell its map version within ${PROBE_TIMEOUT_MS} ms, it did not: start it, or take it out of the list (PATCH /cluster/routers) when it is gone for good (${reason})`,
  );
}

/**
 * Shards that disagree are asked once more: a client may be creating or dropping a collection.
 * @throws DomainError SchemaConflict
 */
export async function agreedCollections(
  scope: ActivityScope,
  shards: readonly Shard[],
  seen: readonly Collections[],
  roleOf: (shard: Shard) => Role,
): Promise<readonly Collections[]> {
  if (schemaDifference(shards, seen) === null) return seen;
  await delay(CLIENT_CREATES_MS, undefined, { signal: scope.attempt.signal });
  const again = await probeShards(scope, shards, roleOf);
  scope.attempt.signal.throwIfAborted();
  const now = again.map(requireAnswer);
  const difference = schemaDifference(shards, now);
  if (difference !== null) throw new DomainError('SchemaConflict', difference);
  return now;
}

/**
 * Documents of several vectors need more than other points do. `before`: what they prevent.
 * @throws DomainError MultivectorCollection
 */
export function refuseMultivector(ofShards: readonly Collections[], before: string): void {
  const found = ofShards.flat().find(({ unreadable }) => unreadable !== null);
  if (found === undefined) return;
  throw new DomainError(
    'MultivectorCollection',
    `collection ${found.name} holds documents of several vectors, which ${found.unreadable}: see to that, or empty it before ${before}`,
  );
}
