/**
 * One evaluation of the autoscale policy. A Temporal Schedule starts one after the other, and the API one when it is asked to.
 *
 *  1. look after the lock   one whose holder was ended from outside is recovered   crash: looked at again
 *  2. observe               what the cluster knows, and the load of each shard     crash: read again
 *  3. decide                a pure function (domain/autoscale-decision.ts)
 *  4. try standbys          one that cannot join is marked and passed over         crash: tried again
 *  5. grow, or drain        by the first usable one; the emptiest shard            crash: the same key finds the same operation
 *  6. record                what was seen, decided and done, with the reason       crash: recorded twice at worst
 *
 * Two evaluations at once take one standby: taking it, the cooldown and the lock are one transition of the cluster workflow, and the second
 * grow is refused. An evaluation waits for no grow to end: the grow is an operation of its own.
 */
import { ActivityFailure, ApplicationFailure, setCurrentDetails, uuid4 } from '@temporalio/workflow';
import type { LockLook, ObservedCluster, StandbyFinding } from '../contract/evaluation-activities';
import type { ClusterTransition } from '../contract/cluster';
import { boundedText, samplesOf } from '../domain/bounded-text';
import { decide, needsLoads, type Decision, type ShardLoad } from '../domain/autoscale-decision';
import type { Standby } from '../domain/autoscale-state';
import { completePolicy, type AutoscalePolicy, type Evaluation } from '../domain/autoscale-policy';
import { shardAtAddress, type ShardAddress } from '../domain/shard-map';
import { activityProfiles, evaluationProfiles } from './operation/activity-profiles';
import { nowMs } from './clock';
import type { AutoscaleInput, DrainInput, EvaluationResult, GrowInput } from '../contract/messages';
import type { Refusal } from '../contract/requests';
import { evaluationDetails } from './web-ui-details';

/** Standbys that one evaluation begins to grow by, one after the other. What is left is for the next one. */
const TRIES_MAX = 3;

/** What an evaluation came to, before the cluster workflow gives it its time. */
type Verdict = Omit<Evaluation, 'atMs'>;

export async function autoscale(input: AutoscaleInput): Promise<EvaluationResult> {
  const { cluster, dryRun } = input;
  const { look } = evaluationProfiles();
  const lock = dryRun ? null : await look('look after the lock', 0).lookAfterLock(input);
  const observed = await look('what the cluster knows', 0).observeCluster({ cluster });
  const { map, autoscale: state } = observed;
  const policy = completePolicy(state.policy);
  const loads = await readLoads(policy, observed);
  const candidates = state.standbys.filter((standby) => shardAtAddress(map, standby) === undefined);
  const decision = decide({
    policy,
    shardIds: map.shards.map((shard) => shard.id),
    busyWith: busyWith(observed, lock),
    loads,
    standbys: candidates.length,
    lastScaleAtMs: state.lastScaleAtMs,
    streak: state.streak,
    lowStreak: state.lowStreak ?? 0,
    nowMs: nowMs(),
  });
  const show = (verdict: Verdict): void =>
    setCurrentDetails(evaluationDetails({ verdict, loads, standbys: state.standbys, dryRun }));
  show(asVerdict(decision));

  const findings = await probe(decision, candidates);
  await mark(input, [...inTheMap(observed), ...findings], state.standbys);
  const usable = candidates.filter((each) => problemOf(each, findings) === null);
  const verdict = await carryOut(usable, { input, observed, decision, findings });
  show(verdict);
  if (!dryRun)
    await change(input, 'record the evaluation', {
      type: 'recordEvaluation',
      evaluation: verdict,
      streak: decision.streak,
      lowStreak: decision.lowStreak,
    });
  return { ...verdict, atMs: nowMs(), dryRun };
}

function carryOut(usable: readonly Standby[], trial: Trial): Promise<Verdict> | Verdict {
  const { decision } = trial;
  if (decision.reason === 'grow') return growBy(usable, trial);
  return decision.reason === 'shrink' ? shrink(trial) : asVerdict(decision);
}

// ---- Looking ----

async function readLoads(policy: AutoscalePolicy, { map }: ObservedCluster): Promise<readonly ShardLoad[]> {
  if (!needsLoads(policy)) return [];
  return evaluationProfiles()
    .look(`points of ${map.shards.length} shards`, map.shards.length)
    .readLoads({ shards: map.shards });
}

function busyWith({ map, lockedBy, isRewound }: ObservedCluster, lock: LockLook | null): string | null {
  if (lock?.kind === 'recovering') {
    return `operation ${lock.operationId} was ended from outside, and ${lock.recovery} undoes or finishes it`;
  }
  if (isRewound)
    return 'the map was rewound, and an API is to put back what was published: run one, or read GET /cluster/map';
  if (lockedBy !== null) return `operation ${lockedBy} is running`;
  const [joining] = map.joining;
  if (joining !== undefined) return `shard ${joining} is joining`;
  const [leaving] = map.leaving;
  return leaving === undefined ? null : `shard ${leaving} is leaving`;
}

// ---- Standbys ----

/** All of them when one is needed; else those that were unusable, so that their mark goes when their trouble is over. */
async function probe(decision: Decision, candidates: readonly Standby[]): Promise<readonly StandbyFinding[]> {
  const standbys = candidates.filter((each) => decision.reason === 'grow' || each.unusable !== null).map(addressOf);
  if (standbys.length === 0) return [];
  return evaluationProfiles().look(`${standbys.length} standbys`, standbys.length).probeStandbys({ standbys });
}

/** They stay in the pool for as long as nobody takes them out, and are never used. */
function inTheMap({ map, autoscale: { standbys } }: ObservedCluster): readonly StandbyFinding[] {
  return standbys.flatMap(({ primary_url, replica_urls }) => {
    const shard = shardAtAddress(map, { primary_url, replica_urls });
    if (shard === undefined) return [];
    const problem = `it is shard ${shard.id} of the cluster already: take it out with DELETE /cluster/standbys`;
    return [{ primaryUrl: primary_url, problem }];
  });
}

/** Only what changes a mark, or finds an unusable one unusable again, is worth a transition. */
async function mark(
  input: AutoscaleInput,
  found: readonly StandbyFinding[],
  standbys: readonly Standby[],
): Promise<void> {
  const marked = (url: string): boolean => standbys.some((each) => each.primary_url === url && each.unusable !== null);
  const findings = found.filter(({ primaryUrl, problem }) => problem !== null || marked(primaryUrl));
  if (input.dryRun || findings.length === 0) return;
  await change(input, `mark ${findings.length} standbys`, { type: 'markStandbys', findings });
}

// ---- The grow ----

interface Trial {
  readonly input: AutoscaleInput;
  readonly observed: ObservedCluster;
  readonly decision: Decision;
  /** What was found out about standbys, this trial included. */
  readonly findings: readonly StandbyFinding[];
}

/** First in, first out. Ends with the first standby that a grow begins by, or with what speaks against all of them. */
async function growBy(usable: readonly Standby[], trial: Trial): Promise<Verdict> {
  const { input, decision } = trial;
  const findings = [...trial.findings];
  let refused: Refusal | null = null;
  for (const standby of usable.slice(0, TRIES_MAX)) {
    const url = standby.primary_url;
    const started = await tryStandby(trial, addressOf(standby));
    if (started.refusal === null) {
      const done = input.dryRun ? 'would grow' : 'growing';
      return asVerdict(decision, {
        message: `${decision.message}: ${done} by ${url}`,
        operationId: started.operationId,
      });
    }
    const { type, message } = started.refusal;
    if (ANOTHER_WAS_FASTER.includes(type)) {
      return asVerdict(decision, { reason: 'operation_running', message: `another change was faster: ${message}` });
    }
    refused = started.refusal;
    if (FAULTS_OF_A_STANDBY.includes(type)) findings.push({ primaryUrl: url, problem: message });
    else if (!MAY_BE_A_STANDBYS.includes(type)) break;
  }
  if (refused !== null && !FAULTS_OF_A_STANDBY.includes(refused.type)) {
    const message = `${decision.message}, but a grow is refused (${refused.type}): ${refused.message}`;
    return asVerdict(decision, { message, refusal: refused.type });
  }
  return asVerdict(decision, { reason: 'no_standby', message: `${decision.message}, but ${noneUsable(findings)}` });
}

/** Findings that speak against this standby, and not against the cluster. */
const FAULTS_OF_A_STANDBY: readonly string[] = ['JoinerUnreachable', 'JoinerRefusedKey', 'JoinerNotEmpty'];
/** Findings that another standby may not have: which side is at fault is in their message. */
const MAY_BE_A_STANDBYS: readonly string[] = ['SchemaConflict', 'ShardAlreadyInMap'];
const ANOTHER_WAS_FASTER: readonly string[] = [
  'UnknownStandby',
  'OperationInProgress',
  'JoinInProgress',
  'LeaveInProgress',
];

/** The preflight first, on its own: a grow that is bound to be refused would fill the list of operations at every evaluation. */
async function tryStandby(
  { input, observed }: Trial,
  standby: ShardAddress,
): Promise<{ operationId: string | null; refusal: Refusal | null }> {
  const { cluster, settings } = input;
  const refusal = await preflight(input, observed, standby);
  if (refusal !== null) {
    const findings = [{ primaryUrl: standby.primary_url, problem: refusal.message }];
    if (FAULTS_OF_A_STANDBY.includes(refusal.type)) await mark(input, findings, observed.autoscale.standbys);
    return { operationId: null, refusal };
  }
  if (input.dryRun) return { operationId: null, refusal: null };
  const { lastScaleAtMs: seenLastScaleAtMs } = observed.autoscale;
  const request = { shards: [standby], allowNonempty: false, fromStandby: true, seenLastScaleAtMs };
  const grow: GrowInput = { ...settings, cluster, key: `auto-${uuid4().slice(0, 8)}`, request };
  return evaluationProfiles().start(`grow by ${standby.primary_url}`).startGrow({ input: grow });
}

async function preflight(
  { cluster, settings }: AutoscaleInput,
  { map }: ObservedCluster,
  standby: ShardAddress,
): Promise<Refusal | null> {
  const { preflight: profile } = activityProfiles(settings.timings);
  try {
    await profile(`preflight of ${standby.primary_url}`, map.shards.length).preflightGrow({
      joiners: [standby],
      donors: map.shards,
      cluster,
      routerUrls: settings.routerUrls,
      allowNonempty: false,
      mapVersion: map.version,
    });
    return null;
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : null;
    if (!(cause instanceof ApplicationFailure) || typeof cause.type !== 'string') throw error;
    return { type: cause.type, message: cause.message };
  }
}

// ---- The drain ----

async function shrink({ input, observed, decision }: Trial): Promise<Verdict> {
  const { cluster, settings, dryRun } = input;
  const { shardId } = decision;
  if (shardId === null) return asVerdict(decision);
  if (dryRun) return asVerdict(decision, { message: `${decision.message}: it would be drained` });
  const request = { shardId, toStandby: true, seenLastScaleAtMs: observed.autoscale.lastScaleAtMs };
  const drain: DrainInput = { ...settings, cluster, key: `auto-${uuid4().slice(0, 8)}`, request };
  const started = await evaluationProfiles().start(`drain shard ${shardId}`).startDrain({ input: drain });
  if (started.refusal === null) {
    return asVerdict(decision, { message: `${decision.message}: draining it`, operationId: started.operationId });
  }
  const { type, message } = started.refusal;
  if (ANOTHER_WAS_FASTER.includes(type)) {
    return asVerdict(decision, { reason: 'operation_running', message: `another change was faster: ${message}` });
  }
  return asVerdict(decision, {
    message: `${decision.message}, but its drain is refused (${type}): ${message}`,
    refusal: type,
  });
}

function noneUsable(findings: readonly StandbyFinding[]): string {
  const problems = findings.flatMap(({ primaryUrl, problem }) =>
    problem === null ? [] : [`${primaryUrl}: ${problem}`],
  );
  return `no standby is usable (${samplesOf(problems, { separator: '; ' })})`;
}

// ---- Leaves ----

function asVerdict(decision: Decision, change: Partial<Verdict> = {}): Verdict {
  const { reason, message, pointsMax, unreadable } = decision;
  const verdict = { reason, message, pointsMax, unreadable, operationId: null, refusal: null, ...change };
  return { ...verdict, message: boundedText(verdict.message) };
}

function addressOf({ primary_url, replica_urls }: ShardAddress): ShardAddress {
  return { primary_url, replica_urls };
}

function problemOf(standby: Standby, findings: readonly StandbyFinding[]): string | null {
  return findings.find((each) => each.primaryUrl === standby.primary_url)?.problem ?? null;
}

async function change(
  { cluster, settings }: AutoscaleInput,
  summary: string,
  transition: ClusterTransition,
): Promise<void> {
  await activityProfiles(settings.timings).transition(summary).changeCluster({ cluster, transition });
}
