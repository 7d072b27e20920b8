/**
 * What a watch over the routers has seen, and what follows from it. A router that restarts serves its seeds for a
 * moment, as version 0, and breaks its connections. So one connection that lived all the time proves that no router
 * restarted, which two answers, one before and one after, would not (INV-4). So does a mark that its process still has.
 * A router adopts only later maps: the right version at the end of a life that began with no later one says enough.
 */
import { boundedText } from './bounded-text';
import type { FoundRouters } from './router-entries';

/** All that is known of one watched router. Times are of the clock of the worker that watches. */
export interface WatchedRouterState {
  readonly url: string;
  /** Since when the connection that is open now lives; null while there is none. */
  readonly connectedSinceMs: number | null;
  /** Of the last answer, on whichever connection; null before the first one. */
  readonly version: number | null;
  readonly lastAnswerAtMs: number | null;
  /** Why the last request was not answered with a map; null when it was. */
  readonly problem: string | null;
  /** All of them are counted, the newest are kept. */
  readonly breakCount: number;
  readonly breaks: readonly WatchBreak[];
  /** Answers with version 0, or with a lower version than one before. The newest are kept. */
  readonly servedSeeds: readonly ServedSeeds[];
}

export interface WatchBreak {
  readonly atMs: number;
  readonly reason: string;
}

/** One map that was shown, from its first to its last answer. */
export interface ServedSeeds {
  readonly atMs: number;
  readonly lastAtMs: number;
  readonly version: number;
  /** Of the map that was shown, bounded. Empty when the map could not be read. */
  readonly shardUrls: readonly string[];
}

export interface WatchSnapshot {
  readonly atMs: number;
  readonly routers: readonly WatchedRouterState[];
}

/** What the operation asks: was every router watched since then, and does it hold this version now? */
export interface WatchQuestion {
  readonly sinceMs: number;
  readonly version: number;
  /** The operator says that every router has a dead seed only: one that restarts refuses writes. */
  readonly routersFailClosed: boolean;
}

/**
 * A router that may have written by another map. `seeds`: what its seeds are known to be. `live`: it showed seeds, or an
 * old map, with shards that may answer. `dead`: all that it showed cannot take a write. `unknown`: it showed none.
 */
export interface RouterSuspect {
  readonly url: string;
  readonly seeds: 'live' | 'dead' | 'unknown';
  /** The first moment at which it may have written by another map. */
  readonly fromMs: number;
  /** When it was next known to hold the right version; null when that is not known yet. */
  readonly untilMs: number | null;
  /** Half a sentence: what was seen. */
  readonly what: string;
  readonly shardUrls: readonly string[];
}

export type WatchJudgement =
  | { readonly unbroken: true }
  | { readonly unbroken: false; readonly reasons: readonly string[]; readonly suspects: readonly RouterSuspect[] };

/** What a judgement can rest on beside the connections. */
export interface WatchAid {
  /** Routers that are known to be the same processes since `sinceMs`, whatever became of their connections. */
  readonly marked?: ReadonlySet<string>;
  /** `sinceMs` is of another clock, and no connection is that old. */
  readonly isNewWatch?: boolean;
}

/** An answer that is older says nothing about now. */
export const FRESH_ANSWER_MS = 2_000;
/** So old may be what a delete behind the flip relies on, of routers and of owners. Deletes may be slowed down to hours. */
export const READING_LIFE_MS = 10_000;
/** Judgements stay in a history, whatever number of routers there is, and whatever they answer. */
const REASONS_MAX = 8;
const SUSPECTS_MAX = 8;
const REASON_CHARS_MAX = 300;
const SHARD_URLS_MAX = 4;

/**
 * INV-4: unbroken when each router's connection or process has lived since `sinceMs`, and its last answer is fresh and has exactly
 * `version`. Where routers fail closed a break costs nothing, as long as no router showed live seeds. Without routers
 * there is nothing that could break: the caller has waited for the grace instead.
 */
export function judgeWatch(
  snapshot: WatchSnapshot,
  question: WatchQuestion,
  { marked = new Set(), isNewWatch = false }: WatchAid = {},
): WatchJudgement {
  const judged = { atMs: snapshot.atMs, question, marked, isNewWatch };
  const reasons = snapshot.routers.flatMap((router) => reasonsAgainst(router, judged));
  if (reasons.length === 0) return { unbroken: true };
  const suspects = snapshot.routers
    .map((router) => suspectOf(router, judged))
    .filter((suspect) => suspect !== null)
    // Where routers fail closed, only seeds that were seen to be live speak against a router.
    .filter(({ seeds }) => !question.routersFailClosed || seeds === 'live');
  return { unbroken: false, reasons: boundedTexts(reasons), suspects: suspects.slice(0, SUSPECTS_MAX) };
}

/** The list of routers as it is by now, beside what the watch has. */
export interface ListedRouters {
  readonly watched: readonly string[];
  readonly found: FoundRouters;
  readonly question: WatchQuestion;
}

export function hasChanged(watched: readonly string[], { routers }: FoundRouters): boolean {
  return routers.length !== watched.length || routers.some(({ url }) => !watched.includes(url));
}

/**
 * INV-8: a router that came into the list since the watch was opened was watched by nobody, and those of a name without
 * an answer are not known. One that left the list is judged by its connection for the last time.
 */
export function judgeList(judgement: WatchJudgement, { watched, found, question }: ListedRouters): WatchJudgement {
  const { sinceMs, routersFailClosed } = question;
  const added = routersFailClosed ? [] : found.routers.filter(({ url }) => !watched.includes(url));
  const what = 'came into the list of routers since the watch began, so nobody watched it';
  const reasons = [
    ...added.map(({ url }) => `router ${url} ${what}`),
    ...found.unknown.map(({ entry, reason }) => `the routers of ${entry} are not known: ${reason}`),
  ];
  if (reasons.length === 0) return judgement;
  const suspects = added.map(({ url }): RouterSuspect => ({
    url,
    seeds: 'unknown',
    fromMs: sinceMs,
    untilMs: null,
    what,
    shardUrls: [],
  }));
  const before = judgement.unbroken ? { reasons: [], suspects: [] } : judgement;
  return {
    unbroken: false,
    reasons: boundedTexts([...before.reasons, ...reasons]),
    suspects: [...before.suspects, ...suspects].slice(0, SUSPECTS_MAX),
  };
}

interface Judged extends Required<WatchAid> {
  readonly atMs: number;
  readonly question: WatchQuestion;
}

function reasonsAgainst(router: WatchedRouterState, judged: Judged): string[] {
  const { atMs, question } = judged;
  const { url, version, problem } = router;
  const reasons: string[] = [];
  const seeds = seedsSince(router, question);
  if (seeds.some(areLive)) reasons.push(`router ${url} ${shown(seeds)}`);
  if (!question.routersFailClosed && !isTheSame(router, judged)) {
    reasons.push(`router ${url} was not watched all the time: ${aboutConnection(router)}`);
  }
  if (!isFresh(router, atMs)) {
    const why = problem === null ? '' : ` (${problem})`;
    reasons.push(`router ${url} has not answered for ${ageOf(router, atMs)}${why}`);
  } else if (version !== question.version) {
    reasons.push(`router ${url} holds version ${version}, expected ${question.version}`);
  }
  return reasons;
}

/** Null when nothing speaks for a write by another map: a router that is silent, or lags, has not restarted. */
function suspectOf(router: WatchedRouterState, judged: Judged): RouterSuspect | null {
  const { atMs, question } = judged;
  const seeds = seedsSince(router, question);
  const breaks = router.breaks.filter((each) => each.atMs >= question.sinceMs);
  if (seeds.length === 0 && isTheSame(router, judged)) return null;
  const live = seeds.filter(areLive);
  const told = live.length > 0 ? live : seeds;
  const holdsIt = isFresh(router, atMs) && router.version === question.version;
  return {
    url: router.url,
    seeds: live.length > 0 ? 'live' : seeds.length > 0 ? 'dead' : 'unknown',
    fromMs: breaks[0]?.atMs ?? told[0]?.atMs ?? question.sinceMs,
    untilMs: holdsIt ? router.lastAnswerAtMs : null,
    what: bounded(told.length > 0 ? shown(told) : `was not watched all the time, ${aboutConnection(router)}`),
    shardUrls: (told.at(-1)?.shardUrls ?? []).slice(0, SHARD_URLS_MAX),
  };
}

/** A map of the expected version is none, even where that is 0: a cluster of Quiver's own coordinator begins there. */
function seedsSince(router: WatchedRouterState, { sinceMs, version }: WatchQuestion): readonly ServedSeeds[] {
  return router.servedSeeds.filter((each) => each.lastAtMs >= sinceMs && each.version !== version);
}

function isTheSame(router: WatchedRouterState, { question, marked, isNewWatch }: Judged): boolean {
  return marked.has(router.url) || (!isNewWatch && livedSince(router, question.sinceMs));
}

function livedSince({ connectedSinceMs }: WatchedRouterState, sinceMs: number): boolean {
  return connectedSinceMs !== null && connectedSinceMs <= sinceMs;
}

/** An answer of a connection that has broken since is of a process that may be dead. */
function isFresh({ connectedSinceMs, lastAnswerAtMs, problem }: WatchedRouterState, atMs: number): boolean {
  if (problem !== null || connectedSinceMs === null || lastAnswerAtMs === null) return false;
  return lastAnswerAtMs >= connectedSinceMs && atMs - lastAnswerAtMs <= FRESH_ANSWER_MS;
}

/** A map that could not be read may name anything, so it counts as live. */
function areLive({ shardUrls }: ServedSeeds): boolean {
  return shardUrls.length === 0 || !shardUrls.every(isDeadSeed);
}

/**
 * An address that no shard can have: the discard port of the machine itself, or a name that ends in `.invalid` (RFC
 * 6761). Any other address may be that of a shard, also of one that does not answer now.
 */
export function isDeadSeed(url: string): boolean {
  return /^https?:\/\/(?:(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]):9|[^/:@]+\.invalid(?::\d+)?)\/?$/i.test(url);
}

// ---- Words ----

function shown(seeds: readonly ServedSeeds[]): string {
  const last = seeds.at(-1);
  if (last === undefined) return 'showed no other map';
  const urls = last.shardUrls.slice(0, SHARD_URLS_MAX).join(', ') || 'shards that could not be read';
  return `showed version ${last.version} (${urls}) at ${iso(last.atMs)}`;
}

function aboutConnection({ connectedSinceMs, breaks, breakCount, problem }: WatchedRouterState): string {
  const last = breaks.at(-1);
  const now = connectedSinceMs === null ? 'it is not connected' : `connected since ${iso(connectedSinceMs)}`;
  if (last !== undefined) return `${counted(breakCount)}, the last at ${iso(last.atMs)} (${last.reason}); ${now}`;
  return problem === null ? now : `${now} (${problem})`;
}

const counted = (breaks: number): string => (breaks === 1 ? '1 break' : `${breaks} breaks`);

function ageOf({ lastAnswerAtMs }: WatchedRouterState, atMs: number): string {
  return lastAnswerAtMs === null ? 'as long as it was watched' : `${((atMs - lastAnswerAtMs) / 1_000).toFixed(1)} s`;
}

function boundedTexts(texts: readonly string[]): string[] {
  const first = texts.slice(0, REASONS_MAX).map(bounded);
  const more = texts.length - first.length;
  return more === 0 ? first : [...first, `and ${more} more`];
}

const bounded = (text: string): string => boundedText(text, REASON_CHARS_MAX);

const iso = (ms: number): string => new Date(ms).toISOString();
