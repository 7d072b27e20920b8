/**
 * What an operator must notice, as part of the cluster's state: it outlives the operation that saw it, and goes when it
 * is known to be mended. Plain JSON and bounded.
 */
import type { AutoscaleState } from './autoscale-state';
import { boundedText, samplesOf } from './bounded-text';
import { DomainError } from './errors';
import { NOTICES_MAX, TEXT_CHARS_MAX } from './limits';
import { isDeadSeed, type RouterSuspect } from './router-watch';
import type { ShardMap } from './shard-map';

/**
 * - `RouterServesSeeds`: a router may have written by another map than the cluster's.
 * - `PointsKept`: an operation left points where they do not belong, rather than to lose them.
 * - `ClockSkew`: the clock of a worker is off.
 * - `UnknownRouter`: somebody polls the map, and the list of routers does not explain it.
 * - `NoEvaluation`: the autoscale policy is enabled, and nothing evaluates it.
 */
export type ClusterNoticeCode = 'RouterServesSeeds' | 'PointsKept' | 'ClockSkew' | 'NoEvaluation' | 'UnknownRouter';

/** Total on purpose: points may lie where the map does not have them, and a clean check tells that they do not. */
const IS_ABOUT_POINTS: Record<ClusterNoticeCode, boolean> = {
  RouterServesSeeds: true,
  PointsKept: true,
  ClockSkew: false,
  NoEvaluation: false,
  // A risk of the next operation, and no sign of what an earlier one left.
  UnknownRouter: false,
};

/** A notice as it is given. */
export interface NewNotice {
  /** The same trouble has the same key, whoever sees it. It can stand in a path as it is. */
  readonly key: string;
  readonly code: ClusterNoticeCode;
  readonly message: string;
  readonly operationId: string | null;
  /** Shards outside the map that it is about: a check that does not read them says nothing about it. */
  readonly leftovers?: readonly string[];
}

export interface ClusterNotice extends NewNotice {
  readonly sinceMs: number;
  readonly lastSeenMs: number;
}

/** What the end of an operation says about notices. */
export interface NoticesAtEnd {
  readonly notices?: readonly NewNotice[];
  /** It has read every collection, and found every point where the map has it: on these leftovers too. */
  readonly foundClean?: { readonly leftovers: readonly string[] };
}

/** The state of the cluster, as far as it matters here. */
interface Noticing {
  readonly notices: readonly ClusterNotice[];
  readonly isInOrder: boolean;
}

const KEY_CHARS_MAX = 200;
const LEFTOVERS_MAX = 8;

/** Newest first. Trouble that is known keeps its start. */
export function recordNotices<S extends Noticing>(state: S, given: readonly NewNotice[], nowMs: number): S {
  const notices = given.slice(0, NOTICES_MAX).reduce((known, each) => withNotice(known, each, nowMs), state.notices);
  if (given.length === 0) return state;
  return { ...state, notices, isInOrder: state.isInOrder && !given.some(isAboutPoints) };
}

const isAboutPoints = ({ code }: NewNotice): boolean => IS_ABOUT_POINTS[code];

function withNotice(notices: readonly ClusterNotice[], given: NewNotice, nowMs: number): readonly ClusterNotice[] {
  const key = given.key.slice(0, KEY_CHARS_MAX);
  const known = notices.find((each) => each.key === key);
  const leftovers = given.leftovers?.slice(0, LEFTOVERS_MAX) ?? [];
  const notice: ClusterNotice = {
    key,
    code: given.code,
    message: boundedText(given.message),
    operationId: given.operationId,
    ...(leftovers.length === 0 ? {} : { leftovers }),
    sinceMs: known?.sinceMs ?? nowMs,
    lastSeenMs: nowMs,
  };
  return [notice, ...notices.filter((each) => each !== known)].slice(0, NOTICES_MAX);
}

/** By an operator. @throws DomainError UnknownNotice */
export function clearNotice<S extends Noticing>(state: S, key: string): S {
  const notices = state.notices.filter((each) => each.key !== key);
  if (notices.length < state.notices.length) return { ...state, notices };
  throw new DomainError('UnknownNotice', 'there is no such notice: GET /cluster/notices lists them');
}

/**
 * When an operation ends: what it has proven to be over goes, and what it left comes. It has read nothing of what was
 * seen after its start.
 */
export function noticesAtEnd<S extends Noticing>(
  state: S,
  { notices = [], foundClean }: NoticesAtEnd,
  { startedAtMs, nowMs }: { startedAtMs: number; nowMs: number },
): S {
  if (foundClean === undefined) return recordNotices(state, notices, nowMs);
  const isOver = (notice: ClusterNotice): boolean =>
    isAboutPoints(notice) &&
    notice.lastSeenMs < startedAtMs &&
    (notice.leftovers ?? []).every((url) => foundClean.leftovers.includes(url));
  const left = state.notices.filter((each) => !isOver(each));
  return recordNotices({ ...state, notices: left, isInOrder: !left.some(isAboutPoints) }, notices, nowMs);
}

// ---- RouterServesSeeds ----

const ADVICE =
  'Run POST /cluster/check. Start routers with one dead seed, QUIVER_CLUSTER_SHARDS=[http://127.0.0.1:9]: without a map they then refuse writes.';

/** Null when nothing can have been written: all seeds that the router showed are dead. */
export function routerNotice(suspect: RouterSuspect, operationId: string | null): NewNotice | null {
  if (suspect.seeds === 'dead') return null;
  const { url, fromMs, untilMs, what, shardUrls, seeds } = suspect;
  const until = untilMs === null ? 'until it holds the map again' : `until ${iso(untilMs)}`;
  const where =
    seeds === 'live' && shardUrls.length > 0
      ? `to ${shardUrls.join(', ')} what other shards own`
      : 'to the shards of its own QUIVER_CLUSTER_SHARDS what other shards own';
  const text = `router ${url} may have written ${where}, from ${iso(fromMs)} ${until}: it ${what}`;
  const message = `${boundedText(text, TEXT_CHARS_MAX - ADVICE.length - 2)}. ${ADVICE}`;
  return { key: `RouterServesSeeds.${slug(url)}`, code: 'RouterServesSeeds', message, operationId };
}

/** A router that was asked, and showed this map. Null when nothing is wrong with it. */
export function suspectOfShown(
  { url, shown, atMs }: { url: string; shown: { version: number; map: ShardMap | null }; atMs: number },
  map: ShardMap,
): RouterSuspect | null {
  if (shown.version > 0 || map.version === 0) return null;
  if (shown.map !== null && isSamePlacement(shown.map, map)) return null;
  const shardUrls = (shown.map?.shards ?? []).map((shard) => shard.primary_url);
  const seeds = shardUrls.length > 0 && shardUrls.every(isDeadSeed) ? 'dead' : 'live';
  const what = `held version 0 while the map has version ${map.version}`;
  return { url, seeds, fromMs: atMs, untilMs: null, what, shardUrls: shardUrls.slice(0, 4) };
}

/** Seeds that name the very shards of the map, in its order, send every write where the map does. */
function isSamePlacement(seeds: ShardMap, map: ShardMap): boolean {
  if (map.joining.length + map.leaving.length > 0) return false;
  const told = ({ shards }: ShardMap): string => JSON.stringify(shards.map(({ id, primary_url }) => [id, primary_url]));
  return told(seeds) === told(map);
}

// ---- PointsKept ----

export function keptNotice(operationId: string, text: string, leftovers: readonly string[]): NewNotice {
  return { key: `PointsKept.${operationId}`, code: 'PointsKept', message: text, operationId, leftovers };
}

// ---- ClockSkew ----

/** `skewMs`: ahead above 0, behind below it; at least that. */
export function skewNotice(worker: string, skewMs: number, operationId: string): NewNotice {
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  const message =
    `expected the clock of worker ${boundedText(worker, 100)} to differ from Temporal's by 2 s at most, it is ${seconds} s or more ${skewMs > 0 ? 'ahead' : 'behind'}: ` +
    'set the clock of that machine and restart the worker, then remove this notice';
  return { key: `ClockSkew.${slug(worker)}`, code: 'ClockSkew', message, operationId };
}

// ---- NoEvaluation ----

export const NO_EVALUATION_KEY = 'NoEvaluation';
const INTERVALS_MISSED_MAX = 3;

/** Null when nothing is missing. `watchedSinceMs`: since when the policy is known to be enabled. */
export function noEvaluationNotice(
  { policy, evaluations }: Pick<AutoscaleState, 'policy' | 'evaluations'>,
  { watchedSinceMs, nowMs }: { readonly watchedSinceMs: number; readonly nowMs: number },
): NewNotice | null {
  if (!policy.enabled) return null;
  const lastMs = evaluations[0]?.atMs ?? null;
  const sinceMs = Math.max(lastMs ?? 0, watchedSinceMs);
  if (nowMs - sinceMs <= INTERVALS_MISSED_MAX * policy.intervalSecs * 1_000) return null;
  const message =
    `expected an evaluation of the autoscale policy every ${policy.intervalSecs} s, the last one was ${lastMs === null ? 'never' : `at ${iso(lastMs)}`}: ` +
    'look at the Schedule and its workflows in the Web UI, and whether a worker of this cluster runs. The notice goes with the next evaluation';
  return { key: NO_EVALUATION_KEY, code: 'NoEvaluation', message, operationId: null };
}

// ---- UnknownRouter ----

export const UNKNOWN_ROUTER_KEY = 'UnknownRouter';
const UNKNOWN_ROUTER_ADVICE =
  'An operation neither asks nor watches them, so a router there may write by an old map. ' +
  'Add each to the list (PATCH /cluster/routers), or stop what polls';

/** One notice for all of them, so that many do not push out others. `pollers` is not empty. */
export function unknownRouterNotice(
  pollers: readonly { readonly address: string; readonly keyId: string }[],
): NewNotice {
  const who = samplesOf(pollers.map(({ address, keyId }) => `${address} (key ${keyId})`));
  const text = `expected every poller of the map to be a router of GET /cluster/routers, found ${pollers.length} that ${pollers.length === 1 ? 'is' : 'are'} not: ${who}`;
  const message = `${boundedText(text, TEXT_CHARS_MAX - UNKNOWN_ROUTER_ADVICE.length - 2)}. ${UNKNOWN_ROUTER_ADVICE}`;
  return { key: UNKNOWN_ROUTER_KEY, code: 'UnknownRouter', message, operationId: null };
}

const slug = (url: string): string => url.replace(/[^A-Za-z0-9.-]+/g, '_');
const iso = (ms: number): string => new Date(ms).toISOString();
