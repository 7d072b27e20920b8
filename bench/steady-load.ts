/** Requests at a fixed rate, whether or not earlier ones were answered, and how long each one took. */
import { Agent, request } from 'undici';
import { KEY } from './http';

const TICK_MS = 5;
const TIMEOUT_MS = 600_000;

export interface Request {
  readonly kind: string;
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly body?: string;
  /** Which shard must answer before the caller gets its answer. */
  readonly shardId: number | null;
}

export interface Sample {
  readonly kind: string;
  readonly shardId: number | null;
  readonly startMs: number;
  readonly endMs: number;
  /** Null: answered with 200. */
  readonly refusal: string | null;
}

export class SteadyLoad {
  private readonly agent = new Agent({ headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  private readonly next: (count: number) => Request;
  private readonly perSecond: number;
  private readonly underWay = new Set<Promise<void>>();
  private samples: Sample[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** `next` is told how many requests there were before. */
  constructor(perSecond: number, next: (count: number) => Request) {
    this.perSecond = perSecond;
    this.next = next;
  }

  start(): void {
    const startedMs = performance.now();
    let sent = 0;
    this.timer = setInterval(() => {
      const due = ((performance.now() - startedMs) * this.perSecond) / 1_000;
      for (; sent < due; sent++) this.send(this.next(sent));
    }, TICK_MS);
  }

  /** All requests that have ended since the last call. */
  take(): Sample[] {
    const taken = this.samples;
    this.samples = [];
    return taken;
  }

  /** Waits for what is under way. */
  async stop(): Promise<Sample[]> {
    clearInterval(this.timer);
    await Promise.all(this.underWay);
    await this.agent.close();
    return this.take();
  }

  private send(what: Request): void {
    const sending = this.measure(what).then(() => void this.underWay.delete(sending));
    this.underWay.add(sending);
  }

  private async measure({ kind, method, url, body, shardId }: Request): Promise<void> {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const startMs = performance.now();
    let refusal: string | null = null;
    try {
      const answer = await request(url, { method, headers, dispatcher: this.agent, ...(body ? { body } : {}) });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) refusal = `${answer.statusCode} ${text.slice(0, 200)}`;
    } catch (error) {
      refusal = error instanceof Error ? error.message : String(error);
    }
    this.samples.push({ kind, shardId, startMs, endMs: performance.now(), refusal });
  }
}

/** What some requests took, in ms. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

export function latencyOf(samples: readonly Sample[]): Latency {
  const sorted = samples.map(({ startMs, endMs }) => endMs - startMs).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99), longest: at(1) };
}

export const latencyText = ({ p50, p99, longest }: Latency): string =>
  `p50 ${tenths(p50)}, p99 ${tenths(p99)}, longest ${tenths(longest)} ms`;

const tenths = (value: number): string => (value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en'));
