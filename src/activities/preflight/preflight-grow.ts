import { samplesOf } from '../../domain/bounded-text';
import { DomainError } from '../../domain/errors';
import { isAlike, shownSchema } from '../collections/full-list';
import { collectionInfos } from '../collections/schemas';
import type { PreflightInput, PreflightReport } from '../../contract/move';
import {
  agreedCollections,
  probeRouters,
  probeShards,
  refuseMultivector,
  requireAnswer,
  requireRouter,
  type Collections,
} from './checks';
import type { ActivityScope } from '../frame/run-activity';

/**
 * Refuses a grow that cannot end well. Changes nothing. All are asked side by side. The first check that fails, in this
 * order, is the answer. Who the shards are is known by now (identify-shards.ts).
 */
export async function preflightGrow(scope: ActivityScope, input: PreflightInput): Promise<PreflightReport> {
  const [joiners, donors, routers] = await Promise.all([
    probeShards(scope, input.joiners, () => 'joiner'),
    probeShards(scope, input.donors, () => 'donor'),
    probeRouters(scope, input),
  ]);
  scope.attempt.signal.throwIfAborted();
  const ofJoiners = joiners.map(requireAnswer);
  const ofDonors = donors.map(requireAnswer);
  for (const router of routers) requireRouter(router, input.mapVersion);
  const settled = await agreedCollections(scope, input.donors, ofDonors, () => 'donor');
  refuseMultivector([...settled, ...ofJoiners], 'the cluster grows');
  ofJoiners.forEach((collections, index) => {
    const url = input.joiners[index]?.primary_url ?? '';
    if (!input.allowNonempty) requireEmpty(collections, url);
    requireSameSchemas(collections, settled.flat(), url);
  });
  return {
    collections: collectionInfos(settled),
    collectionsBefore: ofJoiners.map(namesOf),
    nonemptyBefore: ofJoiners.map((collections) => namesOf(collections.filter(({ count }) => count > 0))),
  };
}

function namesOf(collections: Collections): string[] {
  return collections.map((collection) => collection.name);
}

function requireEmpty(collections: Collections, url: string): void {
  const full = collections.filter((collection) => collection.count > 0);
  if (full.length === 0) return;
  const found = samplesOf(full.map((collection) => `${collection.name} (${collection.count} points)`));
  throw new DomainError(
    'JoinerNotEmpty',
    `expected the joiner ${url} to be empty, found ${found}: give an empty shard, or set allow_nonempty to have its points overwritten by the donors'`,
  );
}

function requireSameSchemas(collections: Collections, ofDonors: Collections, url: string): void {
  for (const existing of collections) {
    const wanted = ofDonors.find((each) => each.name === existing.name && !isAlike(each, existing));
    if (wanted === undefined) continue;
    throw new DomainError(
      'SchemaConflict',
      `expected collection ${existing.name} on the joiner ${url} to be ${shownSchema(wanted)}, found ${shownSchema(existing)}: drop it there`,
    );
  }
}
