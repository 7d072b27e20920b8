import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, type DomainErrorCode } from '../domain/errors';
import type { Shard, ShardAddress } from '../domain/shard-map';
import { ShardError } from '../shards/errors';
import { routerVersion } from '../shards/router-client';
import type { CallContext, ShardCollection } from '../shards/shard-client';
import { collectionInfos, schemaDifference } from './collection-schemas';
import type { PreflightInput, PreflightReport } from './contract';
import type { ActivityScope } from './run-activity';

/** How long each shard and router may take to answer: a REST call waits for all of them together. */
const PROBE_TIMEOUT_MS = 3_000;
/** How long a client may take to create or drop a collection on all donors, before they count as disagreeing. */
const CLIENT_CREATES_MS = 500;

type Collections = readonly ShardCollection[];

/** Design step 1. Reads only. Everything is asked side by side; the first check that fails, in this order, is the answer. */
export async function preflightGrow(scope: ActivityScope, input: PreflightInput): Promise<PreflightReport> {
  const [joiners, donors, routers] = await Promise.all([
    Promise.allSettled(input.joiners.map((joiner) => probeCollections(scope, joiner))),
    Promise.allSettled(input.donors.map((donor) => probeCollections(scope, donor))),
    Promise.allSettled(input.routerUrls.map((url) => probeRouter(scope, url))),
  ]);
  scope.attempt.signal.throwIfAborted();
  const ofJoiners = joiners.map((result, index) => answerOf(result, 'joiner', input.joiners[index]?.primary_url));
  const ofDonors = donors.map((result, index) => answerOf(result, 'donor', input.donors[index]?.primary_url));
  routers.forEach((result, index) => requireRouter(result, input.mapVersion, input.routerUrls[index]));
  const settled = await agreedCollections(scope, input.donors, ofDonors);
  refuseMultivector(settled);
  ofJoiners.forEach((collections, index) => {
    const url = input.joiners[index]?.primary_url ?? '';
    if (!input.allowNonempty) requireEmpty(collections, url);
    requireSameSchemas(collections, settled[0] ?? [], url);
  });
  return {
    collections: collectionInfos(input.donors, settled),
    collectionsBefore: ofJoiners.map(namesOf),
    nonemptyBefore: ofJoiners.map((collections) => namesOf(collections.filter(({ count }) => count > 0))),
  };
}

function namesOf(collections: Collections): string[] {
  return collections.map((collection) => collection.name);
}

async function probeCollections({ attempt, shards }: ActivityScope, address: ShardAddress): Promise<Collections> {
  const client = shards.client(address);
  return await onceMoreIfCut(attempt.readingFor(PROBE_TIMEOUT_MS), async (ctx) => {
    await client.findLeader(ctx);
    return await client.listCollections(ctx);
  });
}

async function probeRouter({ attempt, shards }: ActivityScope, url: string): Promise<number> {
  const ctx = attempt.readingFor(PROBE_TIMEOUT_MS);
  return await onceMoreIfCut(ctx, (each) => routerVersion(url, shards.key, each, shards.dispatcher));
}

/** A kept-alive connection may have been closed by the other side since its last use; a new one tells what is true. */
async function onceMoreIfCut<T>(ctx: CallContext, ask: (ctx: CallContext) => Promise<T>): Promise<T> {
  try {
    return await ask(ctx);
  } catch (error) {
    if (!(error instanceof ShardError) || error.code !== 'Unreachable') throw error;
    return await ask(ctx);
  }
}

const FINDINGS: Record<'joiner' | 'donor', { unreachable: DomainErrorCode; refused: DomainErrorCode; next: string }> = {
  joiner: {
    unreachable: 'JoinerUnreachable',
    refused: 'JoinerRefusedKey',
    next: 'start it, or correct primary_url',
  },
  donor: {
    unreachable: 'DonorUnreachable',
    refused: 'DonorRefusedKey',
    next: 'bring it back before the cluster grows: its points cannot be moved without it',
  },
};

function answerOf(result: PromiseSettledResult<Collections>, role: 'joiner' | 'donor', url = ''): Collections {
  if (result.status === 'fulfilled') return result.value;
  const error: unknown = result.reason;
  if (!(error instanceof ShardError)) throw error;
  const { unreachable, refused, next } = FINDINGS[role];
  if (error.code === 'Unauthorized' || error.code === 'Forbidden') {
    const wanted = `expected the ${role} ${url} to accept the key of QUIVER_CLUSTER_SHARD_KEY`;
    throw new DomainError(refused, `${wanted}, it did not (${error.message})`);
  }
  throw new DomainError(
    unreachable,
    `expected the ${role} ${url} to list its collections within ${PROBE_TIMEOUT_MS} ms, it did not: ${next} (${error.message})`,
  );
}

function requireRouter(result: PromiseSettledResult<number>, mapVersion: number, url = ''): void {
  if (result.status === 'fulfilled') {
    if (result.value <= mapVersion) return;
    throw new DomainError(
      'RouterAhead',
      `expected the router ${url} to hold map version ${mapVersion} or an older one, it holds ${result.value} and would never adopt ours: ` +
        'it follows another coordinator, or this cluster was lost; point it to this coordinator and restart it, or restore the cluster',
    );
  }
  const error: unknown = result.reason;
  if (!(error instanceof ShardError)) throw error;
  throw new DomainError(
    'RouterUnreachable',
    `expected the router ${url} to tell its map version within ${PROBE_TIMEOUT_MS} ms, it did not: start it, or take it out of COORDINATOR_ROUTER_URLS (${error.message})`,
  );
}

/** Donors that disagree are asked once more: a client may be half-way through creating or dropping a collection. */
async function agreedCollections(
  scope: ActivityScope,
  donors: readonly Shard[],
  seen: readonly Collections[],
): Promise<readonly Collections[]> {
  if (schemaDifference(donors, seen) === null) return seen;
  await delay(CLIENT_CREATES_MS, undefined, { signal: scope.attempt.signal });
  const again = await Promise.allSettled(donors.map((donor) => probeCollections(scope, donor)));
  const now = again.map((result, index) => answerOf(result, 'donor', donors[index]?.primary_url));
  const difference = schemaDifference(donors, now);
  if (difference !== null) throw new DomainError('SchemaConflict', difference);
  return now;
}

function refuseMultivector(ofDonors: readonly Collections[]): void {
  const found = ofDonors.flat().find((collection) => collection.multivector === true);
  if (found === undefined) return;
  throw new DomainError(
    'MultivectorCollection',
    `collection ${found.name} holds several vectors per point, and Quiver does not let such points be read back: drop it before the cluster grows`,
  );
}

function requireEmpty(collections: Collections, url: string): void {
  const full = collections.filter((collection) => collection.count > 0);
  if (full.length === 0) return;
  const found = full.map((collection) => `${collection.name} (${collection.count} points)`).join(', ');
  throw new DomainError(
    'JoinerNotEmpty',
    `expected the joiner ${url} to be empty, found ${found}: give an empty shard, or set allow_nonempty to have its points overwritten by the donors'`,
  );
}

function requireSameSchemas(collections: Collections, ofDonors: Collections, url: string): void {
  for (const existing of collections) {
    const wanted = ofDonors.find((collection) => collection.name === existing.name);
    if (wanted === undefined || wanted.schema === existing.schema) continue;
    throw new DomainError(
      'SchemaConflict',
      `expected collection ${existing.name} on the joiner ${url} to be ${wanted.schema}, found ${existing.schema}: drop it there`,
    );
  }
}
