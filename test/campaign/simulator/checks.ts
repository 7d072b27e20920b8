/**
 * What must hold when everything has come to rest.
 *
 * Where the design admits a remainder, exactly that is passed over, and said in `excused`:
 * - a write that reached a shard while that had a wrong volume: the volume went away with it;
 * - a write that a router with live seeds made by them after a flip: it went to shards that own nothing of it (notice
 *   RouterServesSeeds);
 * - what an undo left on a joiner that had a wrong volume meanwhile: the joiner is outside of the map;
 * - copies on a donor whose rows were away when it was to drop them, while it showed its identity and epoch;
 * - a point that is deleted right after a dual write that came after the flip, before anybody looked: it is like one by an old map;
 * - a write that a router held for longer than the in-flight time.
 */
import { IDENTITY_COLLECTION } from '../../../src/domain/shard-identity';
import { PlacementPlan } from '../../../src/domain/placement-plan';
import { placementSpec } from '../../../src/domain/shard-map';
import type { OperationProgress } from '../../../src/domain/progress';
import { rowOf, type Register } from './world/clients';
import type { SimShard } from './world/shard';
import type { World } from './world/world';
import type { Workflow } from './runtime/server';

/** So long may a look at what arrives on a donor take after the flip, with the way to its owner. */
const LOOK_MS = 50;

export interface Ended {
  readonly world: World;
  readonly registers: readonly Register[];
  /** Every shard that there ever was. Followers are not asked. */
  readonly shards: readonly SimShard[];
  readonly operations: readonly Workflow[];
  readonly joiners: readonly SimShard[];
  /** What each joiner had before: collections. */
  readonly joinerHad: readonly string[];
  readonly inFlightMs: number;
  /** Otherwise nobody can know that one of them restarted. */
  readonly routersAsked: boolean;
  readonly flips: readonly number[];
  /** When a donor was first read for its drop. */
  readonly dropsFromMs: readonly number[];
  /** Two of anything that must be one, and ends that never came. */
  readonly broken: readonly string[];
}

export interface Verdict {
  readonly faults: string[];
  readonly excused: string[];
}

export function check(ended: Ended): Verdict {
  const verdict: Verdict = { faults: [...ended.broken], excused: [] };
  checkMaps(ended, verdict);
  checkLock(ended, verdict);
  checkIdentities(ended, verdict);
  checkJoiners(ended, verdict);
  checkRegisters(ended, verdict);
  return verdict;
}

/** INV-1 */
function checkMaps({ world }: Ended, { faults }: Verdict): void {
  world.maps.forEach((map, index) => {
    const before = world.maps[index - 1];
    if (before !== undefined && map.version !== before.version + 1) {
      faults.push(`the map went from version ${before.version} to ${map.version}`);
    }
  });
  const { map } = world.state();
  if (map.joining.length + map.leaving.length > 0) faults.push('a shard is still joining or leaving');
  for (const router of world.routers) {
    if (router.map.version !== map.version) {
      faults.push(`${router.url} holds version ${router.map.version}, the map is ${map.version}`);
    }
  }
}

/** INV-2 */
function checkLock({ world }: Ended, { faults }: Verdict): void {
  const { lock } = world.state();
  if (lock !== null) faults.push(`the lock is held by ${lock.operationId} (${lock.stage})`);
}

function checkIdentities({ world, shards, operations }: Ended, { faults }: Verdict): void {
  const { map, identity } = world.state();
  // A leaver that kept points goes on to say whose they are, also when a late call has dropped them.
  const hasKept = operations.some((operation) => keptBy(operation) > 0);
  for (const shard of shards) {
    const member = map.shards.find(({ primary_url }) => primary_url === shard.url);
    const schema = shard.volume.get(IDENTITY_COLLECTION)?.schema ?? null;
    if (member === undefined) {
      const hasRows = [...shard.volume].some(([name, { rows }]) => name !== IDENTITY_COLLECTION && rows.size > 0);
      if (schema !== null && !hasRows && !hasKept && !isAbandoned(world) && !world.hadWrongVolume.has(shard))
        faults.push(`${shard.name} still bears an identity`);
    } else if (identity.uid !== null && schema !== null) {
      if (!schema.includes(`uid=${identity.uid}`) || !schema.includes(`shard=${member.id};`)) {
        faults.push(`${shard.name} bears another identity: ${schema}`);
      }
    }
  }
}

/** A leaver that stayed away for longer than the patience, or a joiner that an undo could not reach, and that was said. */
function isAbandoned(world: World): boolean {
  const { notices, operations } = world.state();
  return JSON.stringify([notices, operations]).includes('could not be emptied') || toDoByHand(world).length > 0;
}

function toDoByHand(world: World): readonly string[] {
  return world
    .state()
    .operations.map(({ message }) => message)
    .filter((message) => message.includes('Left to do by hand'));
}

/** INV-7 */
function checkJoiners({ world, joiners, joinerHad }: Ended, { faults, excused }: Verdict): void {
  const { map } = world.state();
  for (const joiner of joiners) {
    if (map.shards.some(({ primary_url }) => primary_url === joiner.url) || hasOwned(world, joiner)) continue;
    const left = [...joiner.volume].filter(([name, { rows }]) => !joinerHad.includes(name) || rows.size > 0);
    const names = left.map(([name]) => name).filter((name) => name !== IDENTITY_COLLECTION);
    if (names.length === 0) continue;
    const told = toDoByHand(world);
    const isExcused = told.length > 0 || world.hadWrongVolume.has(joiner);
    (isExcused ? excused : faults).push(`${joiner.name} did not join and still has ${names.join(', ')}`);
  }
}

/** It joined, and may have left again since. */
function hasOwned(world: World, { url }: SimShard): boolean {
  return world.maps.some((map) =>
    map.shards.some(({ id, primary_url }) => primary_url === url && !map.joining.includes(id)),
  );
}

/** INV-3, INV-5, INV-6 */
function checkRegisters(ended: Ended, { faults, excused }: Verdict): void {
  const { world, registers, shards } = ended;
  const { map } = world.state();
  const plan = new PlacementPlan(placementSpec(map));
  const kept = ended.operations.reduce((sum, operation) => sum + keptBy(operation), 0);
  const known = new Set(registers.map(({ collection, id }) => `${collection} ${id}`));
  let misplaced: string[] = [];
  /** Their owner lacks them, and they stay where they were: that is to be told. */
  let keptUnread = 0;
  for (const register of registers) {
    const id = Buffer.from(register.id);
    const key = id.toString('latin1');
    const owner = map.shards.find((shard) => shard.id === plan.ownerOf(id));
    const say = (fault: string): void => {
      const excuse = excuseOf(register, ended);
      const text = `${fault}: ${register.collection} ${register.id} (${wordsOf(register)}), owner ${owner?.primary_url}`;
      (excuse === null ? faults : excused).push(
        excuse === null ? `${text}; ${lastWrites(register, world)}` : `${text}: ${excuse}`,
      );
    };
    for (const shard of shards) {
      const row = shard.volume.get(register.collection)?.rows.get(key);
      if (shard.url !== owner?.primary_url) {
        const isMember = map.shards.some(({ primary_url }) => primary_url === shard.url);
        const wasJoiner = ended.joiners.includes(shard) && !isMember && !hasOwned(world, shard);
        if (row !== undefined && !wasJoiner)
          misplaced.push(`${register.id} on ${shard.name}; ${lastWrites(register, world)}`);
        continue;
      }
      if (row === undefined) {
        const vanished = vanishedOf(register, ended);
        if (vanished !== null) faults.push(vanished);
        if (register.states.includes(null)) continue;
        const isElsewhere = shards.some((other) => register.states.includes(versionOn(other, register)));
        if (isElsewhere && kept > 0 && excuseOf(register, ended) === null) keptUnread += 1;
        // Nobody could tell a donor that was hollow when it was first read from one whose clients had deleted everything.
        else if (isElsewhere && world.hadHollowVolume) excused.push(`left on a donor that was hollow: ${register.id}`);
        else say('lost');
        continue;
      }
      const version = row.vector.readFloatLE(0);
      if (register.states.every((state) => state === null)) say(`resurrected as ${version}`);
      else if (!register.states.includes(version)) say(`stale: version ${version}`);
      else if (!row.payload.equals(rowOf(register, version).payload)) say('altered');
    }
  }
  const excusable = registers.filter((register) => excuseOf(register, ended) !== null).map(({ id }) => id);
  misplaced = misplaced.filter((each) => !excusable.some((id) => each.startsWith(`${id} `)));
  if (keptUnread > kept) faults.push(`${keptUnread} points were kept where nobody reads them, ${kept} told`);
  const isTold =
    kept >= misplaced.length ||
    world.hadHollowVolume ||
    toDoByHand(world).length > 0 ||
    JSON.stringify(world.state().operations).includes('could not be emptied');
  if (misplaced.length > 0)
    (isTold ? excused : faults).push(`misplaced, ${kept} told: ${misplaced.slice(0, 5).join(' | ')}`);
  for (const shard of shards) {
    for (const [name, { rows }] of shard.volume) {
      if (name === IDENTITY_COLLECTION) continue;
      for (const { id } of rows.values()) {
        if (!known.has(`${name} ${id.toString()}`)) faults.push(`unknown row ${id.toString()} on ${shard.name}`);
      }
    }
  }
}

function keptBy(operation: Workflow): number {
  const { outcome } = operation.query('progress') as OperationProgress;
  return outcome?.pointsKept ?? 0;
}

function excuseOf({ writes }: Register, { flips, inFlightMs, world, routersAsked }: Ended): string | null {
  const { slowMessage, slowMessageMs } = world.chances;
  const lookMs = LOOK_MS + (slowMessage > 0 ? 2 * slowMessageMs : 0);
  for (const { trace } of writes) {
    if (trace.shards.includes('foreign volume')) return 'written to a wrong volume';
    if (trace.byLiveSeeds && !routersAsked) return 'written by live seeds where no router is asked';
    if (trace.byLiveSeeds && flips.some((atMs) => trace.lastAtMs >= atMs)) return 'written by live seeds after a flip';
    if (isDeletedAtOnce(writes, flips, lookMs)) return 'deleted at once after a dual write around the flip';
    if (trace.lastAtMs - trace.beganAtMs > inFlightMs) return 'written for longer than the in-flight time';
  }
  return null;
}

function versionOn({ volume }: SimShard, { collection, id }: Register): number | null {
  const row = volume.get(collection)?.rows.get(Buffer.from(id).toString('latin1'));
  return row === undefined ? Number.NaN : row.vector.readFloatLE(0);
}

/** INV-5: what a router with live seeds wrote after a flip, before the drop began, may lie anywhere, but it is somewhere. */
function vanishedOf(register: Register, { shards, flips, dropsFromMs, world, routersAsked }: Ended): string | null {
  if (!routersAsked) return null;
  const { states, writes, collection, id } = register;
  const last = writes.at(-1);
  if (last?.isAcknowledged !== true || last.state === null || !last.trace.byLiveSeeds || states.length !== 1)
    return null;
  const { lastAtMs } = last.trace;
  const isBetween = flips.some(
    (atMs) => atMs <= lastAtMs && dropsFromMs.some((drop) => drop > lastAtMs && drop - atMs < 60_000),
  );
  if (!isBetween || last.trace.shards.includes('foreign volume') || world.hadWrongVolume.size > 0) return null;
  const isSomewhere = shards.some((shard) => versionOn(shard, register) === last.state);
  return isSomewhere ? null : `vanished: ${collection} ${id}, written by live seeds before the drop`;
}

/** Its donor's row arrived after the flip, and its owner lost it again before anybody could look there. */
function isDeletedAtOnce(writes: Register['writes'], flips: readonly number[], lookMs: number): boolean {
  const [before, last] = writes.slice(-2);
  if (before === undefined || last?.state !== null || !flips.some((atMs) => before.trace.lastAtMs >= atMs))
    return false;
  return before.trace.version < last.trace.version && last.trace.lastAtMs - before.trace.lastAtMs < lookMs;
}

function wordsOf({ states }: Register): string {
  return states.map((state) => (state === null ? 'gone' : `version ${state}`)).join(' or ');
}

function lastWrites({ writes }: Register, world: World): string {
  const sinceMs = world.time.nowMs - world.sinceStartMs;
  return writes
    .slice(-4)
    .map(({ state, isAcknowledged, trace, endedAtMs }) => {
      const [from, to, end] = [trace.beganAtMs, trace.lastAtMs, endedAtMs].map((ms) =>
        ((ms - sinceMs) / 1000).toFixed(3),
      );
      const shards = trace.shards.map((url) => url.replace(/^http:\/\/|:6333$/g, '')).join('+');
      return `${state ?? 'delete'} ${isAcknowledged ? '' : 'not '}acked by map ${trace.version}${trace.byLiveSeeds ? ' (seeds)' : ''} to ${shards} ${from}-${to} (${end})`;
    })
    .join(', ');
}
