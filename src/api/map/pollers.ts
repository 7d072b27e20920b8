/** Who asks this API for the map: an operation must know every router, and a router is whoever asks again and again. */
import { networkInterfaces } from 'node:os';

export interface Poller {
  /** Of the connection: an IPv4 address as such, also where it came as an IPv6 one. */
  readonly address: string;
  readonly keyId: string;
  readonly lastMs: number;
  /** Of the map that it said to have; null where it said none. */
  readonly version: number | null;
  /** It has polled several times, over a minute or longer, and still does. */
  readonly isSteady: boolean;
}

interface Seen {
  firstMs: number;
  lastMs: number;
  polls: number;
  held: string | undefined;
}

const POLLERS_MAX = 10_000;
const FORGOTTEN_AFTER_MS = 60 * 60_000;
const SWEEP_INTERVAL_MS = 60_000;
/** A router asks every 2 s, or waits for an answer for a minute (`Prefer`). A longer pause begins a new count. */
const PAUSE_MAX_MS = 150_000;
const STEADY_MS = 60_000;
const STEADY_POLLS_MIN = 5;
/** Longer ones are not kept. */
const ETAG_CHARS_MAX = 128;

export class MapPollers {
  readonly #nowMs: () => number;
  readonly #pollersMax: number;
  /** By key id, then by remote address. Two look-ups without a new string, because a poll is hot. */
  readonly #byKey = new Map<string, Map<string, Seen>>();
  #size = 0;
  #sweptAtMs = 0;

  constructor({ nowMs = Date.now, pollersMax = POLLERS_MAX }: { nowMs?: () => number; pollersMax?: number } = {}) {
    this.#nowMs = nowMs;
    this.#pollersMax = pollersMax;
  }

  /** `held`: the If-None-Match of the request. Beyond the bound a new poller is not kept. */
  note(address: string, keyId: string, held: string | undefined): void {
    const nowMs = this.#nowMs();
    const seen = this.#byKey.get(keyId)?.get(address);
    if (seen === undefined) {
      this.#add(address, keyId, { firstMs: nowMs, lastMs: nowMs, polls: 1, held: kept(held) });
      return;
    }
    if (nowMs - seen.lastMs > PAUSE_MAX_MS) {
      seen.firstMs = nowMs;
      seen.polls = 0;
    }
    seen.lastMs = nowMs;
    seen.polls += 1;
    seen.held = kept(held);
  }

  /** The latest first. */
  list(): Poller[] {
    const nowMs = this.#nowMs();
    const all: Poller[] = [];
    for (const [keyId, byAddress] of this.#byKey) {
      for (const [address, { firstMs, lastMs, polls, held }] of byAddress) {
        if (nowMs - lastMs > FORGOTTEN_AFTER_MS) continue;
        const isNow = nowMs - lastMs <= PAUSE_MAX_MS;
        const isSteady = isNow && lastMs - firstMs >= STEADY_MS && polls >= STEADY_POLLS_MIN;
        const version = versionOfEtag(held);
        all.push({ address: plainAddress(address), keyId, lastMs, version, isSteady });
      }
    }
    return all.sort((a, b) => b.lastMs - a.lastMs);
  }

  #add(address: string, keyId: string, seen: Seen): void {
    if (this.#size >= this.#pollersMax) this.#sweep(seen.lastMs);
    if (this.#size >= this.#pollersMax) return;
    let byAddress = this.#byKey.get(keyId);
    if (byAddress === undefined) this.#byKey.set(keyId, (byAddress = new Map<string, Seen>()));
    byAddress.set(address, seen);
    this.#size += 1;
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < SWEEP_INTERVAL_MS) return;
    this.#sweptAtMs = nowMs;
    for (const [keyId, byAddress] of this.#byKey) {
      for (const [address, { lastMs }] of byAddress) {
        if (nowMs - lastMs > FORGOTTEN_AFTER_MS && byAddress.delete(address)) this.#size -= 1;
      }
      if (byAddress.size === 0) this.#byKey.delete(keyId);
    }
  }
}

/**
 * What two addresses are compared by. One word for all addresses of this machine: a router beside the API may be named by one of them and come from another.
 */
export function comparing(): (address: string) => string {
  const interfaces = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const own = new Set(interfaces.map((each) => plainAddress(each.address)));
  return (address) => {
    const plain = plainAddress(address);
    return plain === '::1' || plain.startsWith('127.') || own.has(plain) ? 'this machine' : plain;
  };
}

function plainAddress(address: string): string {
  return address
    .toLowerCase()
    .replace(/^::ffff:(?=\d+\.)/, '')
    .replace(/%.*$/, '');
}

/** The ETag of a map is `"<version>-<digest>"` (reader.ts). */
function versionOfEtag(held: string | undefined): number | null {
  const version = /^(?:W\/)?"(\d{1,15})-/.exec(held ?? '')?.[1];
  return version === undefined ? null : Number(version);
}

const kept = (held: string | undefined): string | undefined =>
  held === undefined || held.length > ETAG_CHARS_MAX ? undefined : held;
