/**
 * Clients of a cluster that write, delete and re-create points through a router, and know what was acknowledged.
 *
 * register one id of one collection; it belongs to one client, which has one request about it under way at most state
 * what a register may read as: a version, or null when it is gone acknowledged an answer 200: from then on the register
 * has exactly one state unsure the request was answered with an error: the register has its states from before, or the
 * new one, until the next acknowledged request retired no answer came at all, so the request may yet be carried out:
 * the register stays unsure, and nobody writes it again
 */
import { setTimeout as delay } from 'node:timers/promises';
import { request, type Dispatcher } from 'undici';
import { isReadableThroughRouter, pointText, versionOf, type Register } from './register-content';

export type State = number | null;

export interface OwnedRegister {
  readonly register: Register;
  states: readonly State[];
  lastVersion: number;
  isRetired: boolean;
  isTouched: boolean;
}

export interface ClientCounts {
  writes: number;
  deletes: number;
  /** Points that these were about, acknowledged ones only. */
  pointsWritten: number;
  pointsDeleted: number;
  reads: number;
  /** Reads that showed a state which the register did not have, by kind. */
  wrongReads: number;
  refusedWrites: Record<string, number>;
  refusedReads: Record<string, number>;
}

export function newCounts(): ClientCounts {
  return {
    writes: 0,
    deletes: 0,
    pointsWritten: 0,
    pointsDeleted: 0,
    reads: 0,
    wrongReads: 0,
    refusedWrites: {},
    refusedReads: {},
  };
}

export interface Endpoint {
  readonly url: string;
  readonly key: string | null;
  readonly dispatcher: Dispatcher;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** Longer than a router's own patience, so that an answer nearly always comes. */
const ANSWER_TIMEOUT_MS = 30_000;

export async function send(
  endpoint: Endpoint,
  method: Dispatcher.HttpMethod,
  path: string,
  body?: string,
): Promise<Reply> {
  const response = await request(`${endpoint.url}${path}`, {
    method,
    dispatcher: endpoint.dispatcher,
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
    headers: {
      ...(endpoint.key === null ? {} : { authorization: `Bearer ${endpoint.key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.statusCode, body: await response.body.text() };
}

export function pointPath(register: Register): string {
  return `/v1/collections/${register.collection.name}/points/${encodeURIComponent(register.id)}`;
}

export type Judgement = 'right' | 'lost' | 'resurrected' | 'stale' | 'altered';

/** Holds what was seen of a register (a point's JSON, or null for none) against what was acknowledged. */
export function judge(seen: string | null, owned: OwnedRegister, expected: (version: number) => string): Judgement {
  if (seen === null) return owned.states.includes(null) ? 'right' : 'lost';
  const version = versionOf(seen);
  if (owned.states.every((state) => state === null)) return 'resurrected';
  if (version === null || !owned.states.includes(version)) return 'stale';
  return seen === expected(version) ? 'right' : 'altered';
}

export class Client {
  private readonly endpoint: Endpoint;
  private readonly owned: readonly OwnedRegister[];
  private readonly counts: ClientCounts;
  private readonly random: () => number;

  constructor(options: {
    endpoint: Endpoint;
    owned: readonly OwnedRegister[];
    counts: ClientCounts;
    random: () => number;
  }) {
    this.endpoint = options.endpoint;
    this.owned = options.owned;
    this.counts = options.counts;
    this.random = options.random;
  }

  /** One request after the other, one per `everyMs` at most, until told to stop. */
  async run(everyMs: number, isStopped: () => boolean): Promise<void> {
    let nextMs = performance.now() + this.random() * everyMs;
    for (;;) {
      const pauseMs = nextMs - performance.now();
      if (pauseMs > 0) await delay(pauseMs);
      if (isStopped()) return;
      nextMs = Math.max(nextMs + everyMs, performance.now());
      await this.step();
    }
  }

  private async step(): Promise<void> {
    const first = this.pick();
    if (first === undefined) return;
    if (this.random() < READ_SHARE) return this.read(first);
    const batch = new Set([first]);
    for (let more = Math.floor(this.random() * BATCH_POINTS_MAX); more > 0; more--) {
      const other = this.pick();
      if (other?.register.collection === first.register.collection) batch.add(other);
    }
    return this.random() < DELETE_SHARE ? this.delete([...batch]) : this.write([...batch]);
  }

  private pick(): OwnedRegister | undefined {
    const owned = this.owned[Math.floor(this.random() * this.owned.length)];
    return owned?.isRetired === true ? undefined : owned;
  }

  private async write(batch: readonly OwnedRegister[]): Promise<void> {
    const versions = batch.map((owned) => ++owned.lastVersion);
    const points = batch.map((owned, index) => pointText(owned.register, versions[index] ?? 0));
    if (await this.change(batch, versions, 'POST', `{"points":[${points.join(',')}]}`)) {
      this.counts.writes += 1;
      this.counts.pointsWritten += batch.length;
    }
  }

  private async delete(batch: readonly OwnedRegister[]): Promise<void> {
    const ids = batch.map((owned) => owned.register.id);
    const gone = batch.map(() => null);
    if (await this.change(batch, gone, 'DELETE', JSON.stringify({ ids }))) {
      this.counts.deletes += 1;
      this.counts.pointsDeleted += batch.length;
    }
  }

  /** True when it was acknowledged. */
  private async change(
    batch: readonly OwnedRegister[],
    states: readonly State[],
    method: 'POST' | 'DELETE',
    body: string,
  ): Promise<boolean> {
    const path = `/v1/collections/${batch[0]?.register.collection.name ?? ''}/points`;
    let reply: Reply | null = null;
    try {
      reply = await send(this.endpoint, method, path, body);
    } catch (error) {
      count(this.counts.refusedWrites, reasonOf(error));
    }
    const isAcknowledged = reply !== null && reply.status >= 200 && reply.status < 300;
    if (reply !== null && !isAcknowledged) count(this.counts.refusedWrites, refusalOf(reply));
    batch.forEach((owned, index) => {
      const state = states[index] ?? null;
      owned.states = isAcknowledged ? [state] : [...new Set([...owned.states, state])];
      owned.isRetired = reply === null;
      owned.isTouched = true;
    });
    return isAcknowledged;
  }

  /** A client reads what it wrote itself, at any moment: it has no other request about that register under way. */
  private async read(owned: OwnedRegister): Promise<void> {
    if (!isReadableThroughRouter(owned.register.id)) return;
    try {
      const reply = await send(this.endpoint, 'GET', pointPath(owned.register));
      if (reply.status !== 200 && reply.status !== 404) return count(this.counts.refusedReads, refusalOf(reply));
      this.counts.reads += 1;
      const seen = reply.status === 404 ? null : reply.body;
      if (judge(seen, owned, (version) => pointText(owned.register, version)) !== 'right') this.counts.wrongReads += 1;
    } catch (error) {
      count(this.counts.refusedReads, reasonOf(error));
    }
  }
}

const READ_SHARE = 0.25;
const DELETE_SHARE = 0.3;
const BATCH_POINTS_MAX = 4;

function count(counts: Record<string, number>, reason: string): void {
  counts[reason] = (counts[reason] ?? 0) + 1;
}

/** The status and what the router said, without what differs from one request to the next. */
function refusalOf(reply: Reply): string {
  const detail = /"detail":"((?:[^"\\]|\\.)*)"/.exec(reply.body)?.[1] ?? reply.body;
  return `${reply.status} ${detail.slice(0, 160)}`.trim();
}

function reasonOf(error: unknown): string {
  return `no answer (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'})`;
}
