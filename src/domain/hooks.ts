/**
 * Webhooks: who is told of what, and what is news. Plain JSON and bounded, because all of it goes through a history. A secret is in it as
 * sealed by the process that was given it (ADR 29).
 */
import { boundedText } from './bounded-text';
import type { OperationEnd, OperationKind, OperationRecord } from './cluster-state';
import { DomainError } from './errors';
import type { ClusterNotice } from './notices';

export const HOOK_EVENTS = ['operation.started', 'operation.ended', 'operation.waiting', 'notice'] as const;
export type HookEvent = (typeof HOOK_EVENTS)[number];

export const HOOKS_MAX = 16;
export const HOOK_URL_CHARS_MAX = 1_000;
/** Routers get some seconds at every change of the map: a shorter wait is no news. */
export const HOOK_WAIT_MS = 30_000;

export interface Hook {
  readonly url: string;
  readonly events: readonly HookEvent[];
  /** Null: what is sent is not signed. */
  readonly sealed: string | null;
  /** Why the last delivery was given up; null when it arrived. */
  readonly problem: { readonly reason: string; readonly sinceMs: number } | null;
}

/** A hook as it is given. `sealed` absent: as the hook of this URL had it. */
export interface NewHook {
  readonly url: string;
  readonly events: readonly HookEvent[];
  readonly sealed?: string | null;
}

/** One thing that hooks are told. A repeat has the same id. */
export interface HookNews {
  readonly id: string;
  readonly event: HookEvent;
  readonly atMs: number;
  readonly operation: ToldOperation | null;
  readonly notice: Pick<ClusterNotice, 'key' | 'code' | 'message'> | null;
}

export interface ToldOperation {
  readonly id: string;
  readonly kind: OperationKind;
  readonly status: 'running' | OperationEnd;
  readonly message: string;
}

export interface Wait {
  readonly reason: string;
  readonly sinceMs: number;
}

/** The state of the cluster, as far as hooks go. */
export interface SeenByHooks {
  readonly operations: readonly OperationRecord[];
  readonly notices: readonly ClusterNotice[];
  /** What each running operation waits for. */
  readonly waits: Readonly<Record<string, Wait | null>>;
}

/** How far news were told. */
export interface ToldNews {
  /** The start of the newest operation, and all that began in that ms. */
  readonly startedAtMs: number;
  readonly startedIds: readonly string[];
  readonly running: readonly { readonly operationId: string; readonly waitingSinceMs: number | null }[];
  readonly notices: readonly { readonly key: string; readonly sinceMs: number }[];
}

/** @throws DomainError InvalidRequest */
export function normalizeHookUrl(text: string): string {
  const refuse = (seen: string): DomainError =>
    new DomainError('InvalidRequest', `the URL of a hook must be like http://host:port/path, ${seen}: correct it`);
  if (text.length > HOOK_URL_CHARS_MAX) throw refuse(`this one has more than ${HOOK_URL_CHARS_MAX} characters`);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse('one cannot be parsed');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse(`one has the scheme ${url.protocol}`);
  // It is shown to whoever may see hooks, so it may hold nothing secret.
  if (url.username !== '' || url.password !== '') throw refuse('one has user information');
  if (url.search !== '' || url.hash !== '') throw refuse('one has a query or a fragment');
  return url.href;
}

/** @throws DomainError InvalidRequest */
export function replaceHooks(hooks: readonly Hook[], given: readonly NewHook[]): readonly Hook[] {
  if (given.length > HOOKS_MAX) {
    throw new DomainError('InvalidRequest', `expected ${HOOKS_MAX} hooks at most, got ${given.length}: give fewer`);
  }
  if (new Set(given.map(({ url }) => url)).size !== given.length) {
    throw new DomainError(
      'InvalidRequest',
      'expected each URL once, two hooks have the same one: put their events together',
    );
  }
  return given.map(({ url, events, sealed }) => {
    const known = hooks.find((each) => each.url === url);
    const kept = sealed === undefined ? (known?.sealed ?? null) : sealed;
    return { url, events: [...new Set(events)], sealed: kept, problem: known?.problem ?? null };
  });
}

/** `told` null: nothing was told yet, so what is there now is no news. */
export function newsOf(told: ToldNews | null, seen: SeenByHooks, nowMs: number): { told: ToldNews; news: HookNews[] } {
  const oldestFirst = [...seen.operations].reverse();
  const long = (record: OperationRecord): Wait | null => {
    const wait = record.end === null ? (seen.waits[record.operationId] ?? null) : null;
    return wait !== null && nowMs - wait.sinceMs >= HOOK_WAIT_MS ? wait : null;
  };
  const startedAtMs = Math.max(told?.startedAtMs ?? 0, ...oldestFirst.map((each) => each.startedAtMs));
  const next: ToldNews = {
    startedAtMs,
    startedIds: oldestFirst.filter((each) => each.startedAtMs === startedAtMs).map(({ operationId }) => operationId),
    running: oldestFirst
      .filter(({ end }) => end === null)
      .map((record) => ({ operationId: record.operationId, waitingSinceMs: long(record)?.sinceMs ?? null })),
    notices: seen.notices.map(({ key, sinceMs }) => ({ key, sinceMs })),
  };
  if (told === null) return { told: next, news: [] };

  const news: HookNews[] = [];
  for (const record of oldestFirst) {
    const isNew =
      record.startedAtMs > told.startedAtMs ||
      (record.startedAtMs === told.startedAtMs && !told.startedIds.includes(record.operationId));
    const known = told.running.find(({ operationId }) => operationId === record.operationId);
    if (isNew) news.push(ofOperation(record, 'operation.started', record.startedAtMs));
    const wait = long(record);
    if (wait !== null && wait.sinceMs !== known?.waitingSinceMs) {
      const waiting = ofOperation(record, 'operation.waiting', wait.sinceMs);
      news.push({ ...waiting, operation: waiting.operation && { ...waiting.operation, message: wait.reason } });
    }
    if (record.end !== null && (isNew || known !== undefined)) {
      news.push(ofOperation(record, 'operation.ended', record.endedAtMs ?? nowMs));
    }
  }
  for (const { key, code, message, sinceMs } of [...seen.notices].reverse()) {
    if (told.notices.some((each) => each.key === key && each.sinceMs === sinceMs)) continue;
    const id = `notice.${key}.${sinceMs}`;
    news.push({ id, event: 'notice', atMs: sinceMs, operation: null, notice: { key, code, message } });
  }
  return { told: next, news };
}

function ofOperation(record: OperationRecord, event: HookEvent, atMs: number): HookNews {
  const { operationId, kind, end, message } = record;
  const status = event === 'operation.ended' ? (end ?? 'running') : 'running';
  const operation: ToldOperation = { id: operationId, kind, status, message: boundedText(message) };
  return { id: `${event}.${operationId}.${atMs}`, event, atMs, operation, notice: null };
}
