/**
 * A plan: what an operation would do, asked by whoever has not started it yet. It takes no lock, claims no shard, writes
 * no point and leaves no record. A crash costs nothing: it is asked again, and it ends with the call that it answers.
 *
 * It looks at the same things as a preflight, all side by side. The first refusal is the one that the operation would
 * meet first. What only the operation itself can find out is named in `notChecked`.
 */
import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import type { IdentifyInput, MemberRole } from '../../contract/identity';
import type { PlanInput } from '../../contract/messages';
import type { PlannedScans, PlanScansInput } from '../../contract/move';
import { boundedText } from '../../domain/bounded-text';
import { DEFAULT_SCAN_STOP_MAX_MS } from '../../domain/limits';
import { NOTHING_PLANNED, type PlannedOperation, type PlannedRefusal, type PlannedShard } from '../../domain/plan';
import { asMember, type Shard } from '../../domain/shard-map';
import { plannedMove } from '../move/placement';
import { readersOfDrain, readersOfGrow, readersOfPass } from '../move/rows/readers';
import { activityProfiles, type Profiles } from '../operation/activity-profiles';
import { planOfCancel, stepsOf } from './steps';
import { noticedBy, notChecked } from './notices';

type What = PlanInput['what'];
/** What is asked about by looking at shards. */
export type Look = Exclude<What, { kind: 'cancel' | 'refused' }>;

export async function plan(input: PlanInput): Promise<PlannedOperation> {
  const { what } = input;
  if (what.kind === 'cancel') return planOfCancel(what, input);
  if (what.kind === 'refused') return { ...NOTHING_PLANNED, steps: stepsOf(what.of) };
  const activities = activityProfiles(input.timings);
  const asked = what.map.shards.length + what.own.length;
  const [identity, preflight, routers, scans] = await Promise.all([
    tried(() => activities.preflight('whose are the shards?', asked).lookAtShards(identities(input, what))),
    tried(() => preflightOf(activities, input, what)),
    routersBehind(activities, input, what),
    tried(() => activities.preflight('where would shards be read from?', asked).planScans(scansOf(input, what))),
  ]);
  const refusal = identity.refusal ?? preflight.refusal ?? scans.refusal ?? scans.found?.plan?.refusal ?? null;
  const { shards, ...totals } = sizes(what, scans.found);
  const told = { lagging: routers, shards, plans: scans.found?.plans ?? [] };
  return {
    steps: stepsOf(what.kind),
    shards,
    ...totals,
    refusal,
    noticedBy: noticedBy(what, input, told),
    notChecked: notChecked(what, scans.found?.plans ?? null),
  };
}

// ---- Looking ----

interface Tried<T> {
  readonly found: T | null;
  readonly refusal: PlannedRefusal | null;
}

/** A finding is part of the plan. Only what is no finding, as a worker that dies, fails it. */
async function tried<T>(look: () => Promise<T>): Promise<Tried<T>> {
  try {
    return { found: await look(), refusal: null };
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : null;
    if (!(cause instanceof ApplicationFailure) || typeof cause.type !== 'string') throw error;
    return { found: null, refusal: { code: cause.type, detail: boundedText(cause.message) } };
  }
}

function identities({ cluster }: PlanInput, what: Look): IdentifyInput {
  const { map, own, uid, epochs } = what;
  return {
    cluster,
    // An operation would bring a uid, which no shard shows yet either.
    uid: uid ?? '',
    epoch: 0,
    operationId: '',
    isCheck: what.kind === 'check',
    joiners: what.kind === 'grow' ? own : [],
    members: map.shards.map((shard) => ({ shard, epoch: epochs[shard.id] ?? null, role: roleOf(what, shard) })),
    leftovers: 'leftovers' in what.request ? what.request.leftovers : [],
  };
}

function roleOf({ kind, own }: Look, { id }: Shard): MemberRole | null {
  if (kind === 'grow') return 'donor';
  if (kind !== 'drain') return null;
  return own.some((shard) => shard.id === id) ? 'leaver' : 'stayer';
}

async function preflightOf({ preflight }: Profiles, { routerUrls }: PlanInput, what: Look): Promise<void> {
  const { map, own } = what;
  const asks = { routerUrls, mapVersion: map.version };
  if (what.kind === 'grow') {
    const { allowNonempty } = what.request;
    await preflight('preflight', map.shards.length).preflightGrow({
      ...asks,
      joiners: own,
      donors: map.shards,
      allowNonempty,
    });
  } else if (what.kind === 'drain') {
    await preflight('preflight', map.shards.length).preflightDrain({ ...plannedMove('drain', map, own), ...asks });
  }
}

type Lagging = Awaited<ReturnType<ReturnType<Profiles['patient']>['awaitRouters']>>;

async function routersBehind({ patient }: Profiles, { routerUrls }: PlanInput, { kind, map }: Look): Promise<Lagging> {
  if (routerUrls.length === 0 || kind === 'check') return { lagging: [] };
  const { found } = await tried(() =>
    patient('which map do routers hold?', 0).awaitRouters({ routerUrls, version: map.version, patienceMs: 0 }),
  );
  return found ?? { lagging: [] };
}

// ---- Sizes ----

function scansOf({ scanStopMaxMs }: PlanInput, what: Look): PlanScansInput {
  const { map, own, request } = what;
  const move = what.kind === 'grow' || what.kind === 'drain' ? plannedMove(what.kind, map, own) : membersOnly(what);
  return {
    ...move,
    identity: null,
    sources: request.sources ?? null,
    readers: readersOf(what),
    stopMaxMs: request.acceptStopMs ?? scanStopMaxMs ?? DEFAULT_SCAN_STOP_MAX_MS,
    isPlan: true,
  };
}

function membersOnly({ map }: Look): Pick<PlanScansInput, 'placement' | 'shards'> {
  return {
    placement: { shards: map.shards.map(({ id }) => id), joining: map.joining, leaving: map.leaving },
    shards: map.shards,
  };
}

function readersOf(what: Look): PlanScansInput['readers'] {
  const { map, own } = what;
  if (what.kind === 'grow') return readersOfGrow(map.shards, own.length);
  if (what.kind === 'drain') {
    return readersOfDrain(map.shards, { shardId: what.request.shardId, isInOrder: what.isInOrder });
  }
  return readersOfPass(map.shards);
}

type Sizes = Pick<PlannedOperation, 'shards' | 'shardsLeftOut' | 'rowsToMove' | 'bytesToMove' | 'rowsRead'>;

function sizes(what: Look, found: PlannedScans | null): Sizes {
  if (found === null) return NOTHING_PLANNED;
  const { plans, of, plan: totals } = found;
  const isMove = what.kind === 'grow' || what.kind === 'drain';
  // A check moves nothing. What a repair moves, its first pass finds out.
  const ofAll = isMove ? { rows: totals?.rows ?? 0, bytes: Math.round(of?.bytes ?? 0) } : NONE_OR_UNKNOWN[what.kind];
  const readers = new Map(readersOf(what).map((each) => [each.shardId, each]));
  const receivers = isMove ? receiversOf(what) : [];
  const received = (sum: number | null): number | null =>
    sum === null ? null : Math.round(sum / Math.max(1, receivers.length));
  const read = plans.map(({ shardId, source, estimate }): PlannedShard => {
    const isReceiver = receivers.some(({ id }) => id === shardId);
    const { rows = null, bytes = null, scans = 0, stopMs = 0 } = estimate ?? {};
    const share = readers.get(shardId)?.share ?? 0;
    const leaves = (sum: number | null): number | null => (sum === null ? null : Math.round(sum * share));
    return {
      shardId,
      role: isReceiver ? 'receiver' : isMove ? 'donor' : 'read',
      source,
      rows,
      bytes,
      rowsToMove: isReceiver ? received(ofAll.rows) : isMove ? leaves(rows) : ofAll.rows,
      bytesToMove: isReceiver ? received(ofAll.bytes) : isMove ? leaves(bytes) : ofAll.bytes,
      scans,
      stopMs,
    };
  });
  const joining = what.kind === 'grow' ? what.own : [];
  return {
    shards: [...read, ...joining.map(({ id }) => joinerOf(id, received(ofAll.rows), received(ofAll.bytes)))],
    shardsLeftOut: Math.max(0, (of?.shards ?? plans.length) - plans.length),
    rowsToMove: ofAll.rows,
    bytesToMove: ofAll.bytes,
    rowsRead: totals?.rowsRead ?? 0,
  };
}

const NONE_OR_UNKNOWN = { check: { rows: 0, bytes: 0 }, repair: { rows: null, bytes: null } } as const;

function receiversOf({ kind, map, own }: Look): readonly Shard[] {
  if (kind === 'grow') return own;
  return map.shards.filter(({ id }) => own.every((leaver) => leaver.id !== id)).map(asMember);
}

/** Nobody reads it before it has joined. */
function joinerOf(shardId: number, rowsToMove: number | null, bytesToMove: number | null): PlannedShard {
  const unread = { source: null, rows: null, bytes: null, scans: 0, stopMs: 0 };
  return { shardId, role: 'receiver', ...unread, rowsToMove, bytesToMove };
}
