/**
 * What the cluster remembers of the autoscale policy, and how that changes. The decision itself is in
 * autoscale-decision.ts.
 */
import { DEFAULT_POLICY, type AutoscalePolicy, type Evaluation } from './autoscale-policy';
import { boundedText, samplesOf } from './bounded-text';
import { DomainError } from './errors';
import { EVALUATIONS_MAX, NAMED_NOTICES_MAX, SHORT_TEXT_CHARS_MAX, STANDBYS_MAX } from './limits';
import type { ShardAddress } from './shard-map';

/** A shard that waits outside the cluster. */
export interface Standby extends ShardAddress {
  readonly addedAtMs: number;
  /** Null while nothing speaks against it. */
  readonly unusable: StandbyProblem | null;
}

export interface StandbyProblem {
  readonly reason: string;
  readonly sinceMs: number;
  readonly triedAtMs: number;
}

export interface AutoscaleState {
  /** The settings of the first start were taken over. Later settings are ignored. */
  readonly seeded: boolean;
  readonly policy: AutoscalePolicy;
  /** First in, first out. */
  readonly standbys: readonly Standby[];
  readonly lastScaleAtMs: number | null;
  /** Evaluations in a row that saw a shard above the mark. */
  readonly streak: number;
  /** Evaluations in a row that saw every shard low. Absent in states of earlier releases. */
  readonly lowStreak?: number;
  /** Newest first, bounded by EVALUATIONS_MAX. */
  readonly evaluations: readonly Evaluation[];
  /** What an operator must notice, as of the last transition (see `refreshNotices`). */
  readonly notices: readonly Notice[];
}

export const NO_AUTOSCALE: AutoscaleState = {
  seeded: false,
  policy: DEFAULT_POLICY,
  standbys: [],
  lastScaleAtMs: null,
  streak: 0,
  evaluations: [],
  notices: [],
};

// ---- Transitions ----

/**
 * Takes over the settings of the first start. Later ones change nothing: from then on the policy belongs to the
 * cluster.
 */
export function seedAutoscale(
  state: AutoscaleState,
  seed: { policy: AutoscalePolicy; standbys: readonly ShardAddress[]; nowMs: number },
): AutoscaleState {
  if (state.seeded) return state;
  const added = seed.standbys.filter((address) => !state.standbys.some((each) => sharesUrl(each, address)));
  const standbys = added.map((address) => ({ ...address, addedAtMs: seed.nowMs, unusable: null }));
  return { ...state, seeded: true, policy: seed.policy, standbys: [...state.standbys, ...standbys] };
}

/** The count under the old mark says nothing about the new one. */
export function replacePolicy(state: AutoscaleState, policy: AutoscalePolicy): AutoscaleState {
  return { ...state, seeded: true, policy, streak: 0, lowStreak: 0 };
}

/** @throws DomainError StandbyKnown, InvalidRequest */
export function addStandby(state: AutoscaleState, address: ShardAddress, nowMs: number): AutoscaleState {
  const known = state.standbys.find((each) => sharesUrl(each, address));
  if (known !== undefined) {
    throw new DomainError(
      'StandbyKnown',
      `${known.primary_url} is a standby already: give the address of another shard`,
    );
  }
  if (state.standbys.length >= STANDBYS_MAX) {
    throw new DomainError('InvalidRequest', `there can be at most ${STANDBYS_MAX} standbys`);
  }
  return { ...state, standbys: [...state.standbys, { ...address, addedAtMs: nowMs, unusable: null }] };
}

/** @throws DomainError UnknownStandby */
export function removeStandby(state: AutoscaleState, primaryUrl: string): AutoscaleState {
  const standbys = state.standbys.filter((each) => each.primary_url !== primaryUrl);
  if (standbys.length < state.standbys.length) return { ...state, standbys };
  const known = samplesOf(state.standbys.map((each) => each.primary_url)) || 'none';
  throw new DomainError('UnknownStandby', `${primaryUrl} is no standby: the standbys are ${known}`);
}

/** Marks standbys with a finding: a reason sets the mark, null removes it. A standby that is gone is passed over. */
export function markStandbys(
  state: AutoscaleState,
  findings: readonly { readonly primaryUrl: string; readonly problem: string | null }[],
  nowMs: number,
): AutoscaleState {
  const standbys = state.standbys.map((each) => {
    const finding = findings.find(({ primaryUrl }) => primaryUrl === each.primary_url);
    return finding === undefined ? each : { ...each, unusable: problemOf(each, finding.problem, nowMs) };
  });
  return { ...state, standbys };
}

/** Puts the standby of a failed grow back to the front, where it was taken from. */
export function returnStandby(
  state: AutoscaleState,
  standby: Standby,
  problem: string | null,
  nowMs: number,
): AutoscaleState {
  if (state.standbys.some((each) => sharesUrl(each, standby))) return state;
  const returned = { ...standby, unusable: problemOf(standby, problem, nowMs) };
  return { ...state, standbys: [returned, ...state.standbys] };
}

/** A shard that has left, and holds nothing any more. A pool that is full, or knows it, stays as it is. */
export function keepAsStandby(state: AutoscaleState, address: ShardAddress, nowMs: number): AutoscaleState {
  const isKnown = state.standbys.some((each) => sharesUrl(each, address));
  if (isKnown || state.standbys.length >= STANDBYS_MAX) return state;
  const { primary_url, replica_urls } = address;
  return { ...state, standbys: [...state.standbys, { primary_url, replica_urls, addedAtMs: nowMs, unusable: null }] };
}

export function recordEvaluation(
  state: AutoscaleState,
  evaluation: Evaluation,
  { streak, lowStreak = 0 }: { readonly streak: number; readonly lowStreak?: number | undefined },
): AutoscaleState {
  const bounded = { ...evaluation, message: boundedText(evaluation.message) };
  const before = state.evaluations.slice(0, EVALUATIONS_MAX - 1).map(withFewUnreadable);
  return { ...state, streak, lowStreak, evaluations: [bounded, ...before] };
}

/** Only of the newest one must all unreadable shards be known: its notices are made of them. */
function withFewUnreadable(evaluation: Evaluation): Evaluation {
  const { unreadable } = evaluation;
  return unreadable.length <= NAMED_NOTICES_MAX
    ? evaluation
    : { ...evaluation, unreadable: unreadable.slice(0, NAMED_NOTICES_MAX) };
}

export function sharesUrl(a: ShardAddress, b: ShardAddress): boolean {
  const ofA = [a.primary_url, ...a.replica_urls];
  return [b.primary_url, ...b.replica_urls].some((url) => ofA.includes(url));
}

function problemOf(standby: Standby, reason: string | null, nowMs: number): StandbyProblem | null {
  if (reason === null) return null;
  return {
    reason: boundedText(reason, SHORT_TEXT_CHARS_MAX),
    sinceMs: standby.unusable?.sinceMs ?? nowMs,
    triedAtMs: nowMs,
  };
}

// ---- What an operator must notice ----

export type NoticeCode = 'NoStandbyLeft' | 'StandbyUnusable' | 'CapReached' | 'ShardUnreadable' | 'GrowRefused';

export interface Notice {
  readonly code: NoticeCode;
  /** What it is about. So the same trouble keeps its identity while its wording changes. */
  readonly about: string;
  readonly message: string;
  readonly sinceMs: number;
}

/** Runs after every transition. Trouble that was there before keeps its start time. */
export function refreshNotices(state: AutoscaleState, nowMs: number): AutoscaleState {
  const notices = foundNotices(state).map((found) => {
    const before = state.notices.find((each) => isSameNotice(each, found));
    return { ...found, sinceMs: before?.sinceMs ?? nowMs };
  });
  return notices.length === 0 && state.notices.length === 0 ? state : { ...state, notices };
}

export function isSameNotice(a: Pick<Notice, 'code' | 'about'>, b: Pick<Notice, 'code' | 'about'>): boolean {
  return a.code === b.code && a.about === b.about;
}

/** All that prevents the next grow, or hides whether one is needed. From the last evaluation and the pool. */
function foundNotices({ policy, evaluations, standbys }: AutoscaleState): readonly Omit<Notice, 'sinceMs'>[] {
  if (!policy.enabled) return [];
  const notices: Omit<Notice, 'sinceMs'>[] = [];
  const [last] = evaluations;
  if (last?.reason === 'no_standby') {
    notices.push({ code: 'NoStandbyLeft', about: 'standbys', message: last.message });
  }
  if (last?.reason === 'at_cap') notices.push({ code: 'CapReached', about: 'max_shards', message: last.message });
  if (last?.refusal != null) notices.push({ code: 'GrowRefused', about: last.refusal, message: last.message });
  const unreadable = last?.unreadable ?? [];
  for (const shardId of unreadable.slice(0, NAMED_NOTICES_MAX)) {
    notices.push({
      code: 'ShardUnreadable',
      about: `shard ${shardId}`,
      message: unreadableMessage(`shard ${shardId}`),
    });
  }
  const moreShards = unreadable.slice(NAMED_NOTICES_MAX);
  if (moreShards.length > 0) {
    const message = unreadableMessage(`more shards (${samplesOf(moreShards)})`);
    notices.push({ code: 'ShardUnreadable', about: 'more shards', message });
  }
  const unusable = standbys.filter((each) => each.unusable !== null);
  for (const { primary_url, unusable: problem } of unusable.slice(0, NAMED_NOTICES_MAX)) {
    const message = `standby ${primary_url} is not usable: ${problem?.reason ?? ''}`;
    notices.push({ code: 'StandbyUnusable', about: primary_url, message });
  }
  const moreStandbys = unusable.slice(NAMED_NOTICES_MAX).map((each) => each.primary_url);
  if (moreStandbys.length > 0) {
    const message = `more standbys are not usable (${samplesOf(moreStandbys)}): GET /cluster/autoscale says why`;
    notices.push({ code: 'StandbyUnusable', about: 'more standbys', message });
  }
  return notices.map((each) => ({ ...each, message: boundedText(each.message) }));
}

function unreadableMessage(what: string): string {
  return `the points of ${what} could not be read: bring it back, because an unknown load is never taken for calm`;
}
