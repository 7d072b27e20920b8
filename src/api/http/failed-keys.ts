/**
 * Slows down whoever tries keys. An address may send so many wrong keys a minute. Beyond that a key counts only if it was
 * right from that address before: so those who share a proxy with somebody who guesses go on.
 */
import { parseIp } from '../../domain/allowed-hosts';

const ADDRESSES_MAX = 10_000;
const MINUTE_MS = 60_000;
const FRESH_MS = 1_000;
/** An IPv6 network of one owner has so many bytes in common. */
const IPV6_NETWORK_BYTES = 8;
const MAPPED_BYTES = 12;

interface Account {
  /** Wrong keys that it may still send. */
  left: number;
  atMs: number;
  readonly known: Set<string>;
}

export class FailedKeys {
  readonly #perMinute: number;
  readonly #nowMs: () => number;
  /** The address that was seen last stands last. */
  readonly #accounts = new Map<string, Account>();
  /** Each request asks, and an address is parsed once. */
  readonly #networks = new Map<string, string>();

  /** `perMinute` 0: no limit. */
  constructor(perMinute: number, nowMs: () => number = Date.now) {
    this.#perMinute = perMinute;
    this.#nowMs = nowMs;
  }

  /** In how many seconds the address may try a wrong key again; null when it may now. */
  retryAfterS(address: string): number | null {
    if (this.#perMinute === 0) return null;
    const { left } = this.#accountOf(address);
    return left >= 1 ? null : Math.max(1, Math.ceil(((1 - left) * MINUTE_MS) / this.#perMinute / 1_000));
  }

  noteWrong(address: string): void {
    const account = this.#accountOf(address);
    account.left = Math.max(0, account.left - 1);
  }

  noteRight(address: string, key: string): void {
    if (this.#perMinute > 0) this.#accountOf(address).known.add(key);
  }

  /** Whether the key was right from this address before. */
  isKnown(address: string, key: string): boolean {
    return this.#accountOf(address).known.has(key);
  }

  #accountOf(address: string): Account {
    const network = this.#networkOf(address);
    const nowMs = this.#nowMs();
    const known = this.#accounts.get(network);
    // One that sends no wrong key is looked at once a second: every poll of a router comes by here.
    if (known?.left === this.#perMinute && nowMs - known.atMs < FRESH_MS) return known;
    const account = known ?? { left: this.#perMinute, atMs: nowMs, known: new Set<string>() };
    const grown = (Math.max(0, nowMs - account.atMs) * this.#perMinute) / MINUTE_MS;
    account.left = Math.min(this.#perMinute, account.left + grown);
    account.atMs = nowMs;
    this.#accounts.delete(network);
    const [oldest] = this.#accounts.keys();
    if (this.#accounts.size >= ADDRESSES_MAX && oldest !== undefined) this.#accounts.delete(oldest);
    this.#accounts.set(network, account);
    return account;
  }

  #networkOf(address: string): string {
    const known = this.#networks.get(address);
    if (known !== undefined) return known;
    if (this.#networks.size >= ADDRESSES_MAX) this.#networks.clear();
    const network = networkOf(address);
    this.#networks.set(address, network);
    return network;
  }
}

function networkOf(address: string): string {
  const bytes = parseIp(address);
  if (bytes === null) return address;
  const isIpv4 = bytes.slice(0, MAPPED_BYTES).join() === parseIp('0.0.0.0')?.slice(0, MAPPED_BYTES).join();
  return (isIpv4 ? bytes : bytes.slice(0, IPV6_NETWORK_BYTES)).join();
}
