/** What an operation has an operator notice: while it runs, and at its end. */
import { attentionForKept } from '../../domain/attention';
import type { LockingKind, OperationEnd } from '../../domain/cluster-state';
import { boundedText } from '../../domain/bounded-text';
import { isClean } from '../../domain/findings';
import { keptNotice, routerNotice, skewNotice, type NewNotice, type NoticesAtEnd } from '../../domain/notices';
import type { OperationOutcome } from '../../domain/progress';
import type { WatchJudgement } from '../../domain/router-watch';
import { count } from '../wording';
import type { OperationRun } from './run';
import { applyTransition } from './transition';

/** Records routers that may have written by another map. A repeat changes their notice only. */
export async function noticeRouters(run: OperationRun, judgement: WatchJudgement): Promise<void> {
  if (judgement.unbroken) return;
  const { operationId } = run.state.progress;
  const notices = judgement.suspects
    .map((suspect) => routerNotice(suspect, operationId))
    .filter((notice): notice is NewNotice => notice !== null);
  if (notices.length === 0) return;
  // It depends on the cluster workflow alone, and no operation fails because of a notice.
  await applyTransition(run, 'notice routers that may serve their seeds', { type: 'notice', notices }, 'forever');
}

/** Records workers whose clocks are off: each once in an operation. */
export async function noticeClocks(run: OperationRun): Promise<void> {
  const notices = takeClockNotices(run);
  if (notices.length === 0) return;
  await applyTransition(run, 'notice a clock that is off', { type: 'notice', notices }, 'forever');
}

function takeClockNotices({ state }: OperationRun): NewNotice[] {
  const { operationId } = state.progress;
  const fresh = Object.entries(state.clockSkews).filter(([, skew]) => skew?.isNoticed === false);
  if (fresh.length === 0) return [];
  for (const [worker, skew] of fresh) {
    if (skew !== undefined) state.clockSkews = { ...state.clockSkews, [worker]: { ...skew, isNoticed: true } };
  }
  return fresh.map(([worker, skew]) => skewNotice(worker, skew?.skewMs ?? 0, operationId));
}

/** The outcome of an operation that kept points says so, unless it says something more exact already. */
export function withAttention({ state }: OperationRun, end: OperationEnd, outcome: OperationOutcome): OperationOutcome {
  const kind = kindOf(state);
  if (end !== 'succeeded' || kind === null || outcome.attention !== undefined) return outcome;
  const attention = attentionForKept(kind, { points: outcome.pointsKept, leavers: leaversOf(state) });
  if (attention.length === 0) return outcome;
  const bounded = attention.map((each) => ({
    ...each,
    what: boundedText(each.what),
    mendedBy: boundedText(each.mendedBy),
  }));
  return { ...outcome, attention: bounded };
}

/** What the cluster is told when the operation ends. It is part of the release, so no crash comes between the two. */
export function noticesOf(run: OperationRun, end: OperationEnd, outcome: OperationOutcome): NoticesAtEnd {
  const { state } = run;
  const clocks = takeClockNotices(run);
  if (end !== 'succeeded') return clocks.length === 0 ? {} : { notices: clocks };
  const { operationId } = state.progress;
  const { attention = [] } = outcome;
  const foundClean = cleanReading(state);
  const text = attention.map(({ what, points, mendedBy }) => `${count(points)} ${what}: ${mendedBy}`).join('; ');
  const kept = text === '' ? [] : [keptNotice(operationId, `${operationId}: ${text}`, outsideMap(state))];
  const notices = [...kept, ...clocks];
  return {
    ...(notices.length === 0 ? {} : { notices }),
    ...(foundClean === null ? {} : { foundClean }),
  };
}

type State = OperationRun['state'];

/** What it moved. Null in a check, which leaves nothing. */
function kindOf({ progress, recovers }: State): LockingKind | null {
  if (progress.kind === 'check') return null;
  return progress.kind === 'recover' ? (recovers?.kind ?? null) : progress.kind;
}

function leaversOf(state: State): readonly string[] {
  return kindOf(state) === 'drain' ? state.shards.map((shard) => shard.primary_url) : [];
}

/** What it left may lie there, where a check looks only when it is told to. */
function outsideMap(state: State): readonly string[] {
  return [...leaversOf(state), ...leftoversOf(state)];
}

/** Of a check or a repair: the shards outside the map that it read. */
function leftoversOf({ announced }: State): readonly string[] {
  const request = announced?.request;
  if (request === undefined || !('leftovers' in request)) return [];
  return request.leftovers.map((shard) => shard.primary_url);
}

/** Not null when the last reading of everything found nothing wrong. */
function cleanReading(state: State): { leftovers: readonly string[] } | null {
  const { progress, repair, announced } = state;
  const { kind } = progress;
  if ((kind !== 'check' && kind !== 'repair') || repair === null || announced === null) return null;
  const { request } = announced;
  // A reading of some collections says nothing about the others.
  if (!('leftovers' in request) || request.collections !== null) return null;
  const found = kind === 'check' ? repair.found : repair.left;
  if (repair.written > 0 || !isClean(found)) return null;
  return { leftovers: leftoversOf(state) };
}
