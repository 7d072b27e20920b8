/**
 * Which connections to shards and routers are made. Judged is the address that a connection goes to, when it is made:
 * a name may resolve to another address than it did when somebody looked at it. No key is sent without a connection.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import {
  isNamed,
  parseIp,
  plainHost,
  readAllowedHosts,
  refusalOfAddress,
  refusalOfHost,
  type AllowedHosts,
} from '../../domain/allowed-hosts';
import { DomainError } from '../../domain/errors';

/** A port that this program listens on itself. */
export interface OwnPort {
  /** As in the setting: an address, a name, or 0.0.0.0 or :: for all of them. */
  readonly host: string;
  readonly port: number;
}

/** Plain data, so that it can be given to a thread. */
export interface ReachOptions {
  /** Host patterns and CIDRs; empty allows all that is not always refused. */
  readonly allowed: readonly string[];
  readonly own: readonly OwnPort[];
}

export type Resolve = (host: string, family: number) => Promise<LookupAddress[]>;

/** What a name comes to just now. */
export interface Resolved {
  /** Those that may be called: one at least, and each once. */
  readonly addresses: readonly string[];
  /** Of each address that may not be called: why not. */
  readonly refusals: readonly string[];
}

/** The code of the error that ends a connection before it is made. */
export const ADDRESS_NOT_ALLOWED = 'ADDRESS_NOT_ALLOWED';

export class AddressNotAllowedError extends Error {
  readonly code = ADDRESS_NOT_ALLOWED;

  constructor(reason: string) {
    super(reason);
    this.name = 'AddressNotAllowedError';
  }
}

const WILDCARDS: readonly string[] = ['0.0.0.0', '::'];
/** How long a look at an address that somebody gives may wait for its resolver. */
const RESOLVE_TIMEOUT_MS = 3_000;
const NAMES_MAX = 4_096;

const resolveBySystem: Resolve = (host, family) =>
  new Promise((resolve, reject) => {
    systemLookup(host, { all: true, family }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });

export class Reach {
  readonly options: ReachOptions;
  readonly #allowed: AllowedHosts;
  readonly #own: OwnPort[];
  readonly #resolve: Resolve;
  /** By address: the name that was resolved to it. */
  readonly #names = new Map<string, string>();
  #dispatcher: Dispatcher | null = null;

  constructor(options: ReachOptions = { allowed: [], own: [] }, resolve: Resolve = resolveBySystem) {
    const allowed = readAllowedHosts(options.allowed);
    if (allowed === null) throw new Error('the settings let in only host patterns and CIDRs');
    this.options = options;
    this.#allowed = allowed;
    this.#own = [...options.own];
    this.#resolve = resolve;
  }

  /** For a port that is known only when it is listened on. */
  addOwn(own: OwnPort): void {
    this.#own.push(own);
  }

  /** The connections of this process to shards and routers. */
  get dispatcher(): Dispatcher {
    return (this.#dispatcher ??= new Agent({ connect: this.connector() }));
  }

  /** Makes connections for undici. */
  connector(options: { readonly timeout?: number } = {}): buildConnector.connector {
    const byPort = new Map<number, buildConnector.connector>();
    return (target, callback) => {
      const port = target.port === '' ? defaultPort(target.protocol) : Number(target.port);
      const refusal = this.#refusalOfLiteral(target.hostname, port);
      if (refusal !== null) return callback(new AddressNotAllowedError(refusal), null);
      let connect = byPort.get(port);
      if (connect === undefined)
        byPort.set(port, (connect = buildConnector({ ...options, lookup: this.lookup(port) })));
      return connect(target, callback);
    };
  }

  /** Resolves a name, for one connection to `port`, to those of its addresses that may be called. */
  lookup(port: number): LookupFunction {
    return (host, options, callback) => {
      this.#resolveAllowed(host, port, familyOf(options.family)).then(
        ({ allowed }) => {
          if (options.all === true) callback(null, allowed);
          else callback(null, allowed[0]!.address, allowed[0]!.family);
        },
        (error: unknown) => callback(error as NodeJS.ErrnoException, []),
      );
    };
  }

  /** For a connection that is made without undici. A host that is an address is never looked up. @throws AddressNotAllowedError */
  requireLiteral(url: URL): void {
    const refusal = this.#refusalOfLiteral(url.hostname, portOf(url));
    if (refusal !== null) throw new AddressNotAllowedError(refusal);
  }

  /**
   * For addresses that a person gives. One that does not resolve passes, as long as its name alone may be called.
   * @throws DomainError AddressNotAllowed
   */
  async requireAllowed(urls: readonly string[]): Promise<void> {
    await Promise.all([...new Set(urls)].map((url) => this.#requireAllowed(url)));
  }

  /**
   * The addresses of `host` that may be called at `port`. A connection to one of them by its address alone is judged by
   * this name from now on: COORDINATOR_ALLOWED_HOSTS may hold names only. Gives up after 3 s.
   * @throws AddressNotAllowedError, or what the resolver says
   */
  async resolve(host: string, port: number): Promise<Resolved> {
    const name = plainHost(host);
    const refusal = this.#refusalOfLiteral(name, port);
    if (refusal !== null) throw new AddressNotAllowedError(refusal);
    if (parseIp(name) !== null) return { addresses: [name], refusals: [] };
    const { allowed, refusals } = await inTime(this.#resolveAllowed(name, port, 0));
    for (const { address } of allowed) this.#name(address, name);
    return { addresses: [...new Set(allowed.map(({ address }) => address))], refusals: [...new Set(refusals)] };
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }

  async #requireAllowed(text: string): Promise<void> {
    const url = new URL(text);
    const host = plainHost(url.hostname);
    const refusal = this.#refusalOfLiteral(host, portOf(url)) ?? (await this.#refusalOfName(host, portOf(url)));
    if (refusal === null) return;
    throw new DomainError(
      'AddressNotAllowed',
      `expected an address that the coordinator may call, ${text} is not: ${refusal}; ` +
        'give the address of a shard, or add its host or CIDR to COORDINATOR_ALLOWED_HOSTS',
    );
  }

  async #refusalOfName(host: string, port: number): Promise<string | null> {
    if (parseIp(host) !== null) return null;
    const refusal = refusalOfHost(this.#allowed, host);
    if (refusal !== null) return `${host} is ${refusal}`;
    try {
      await inTime(this.#resolveAllowed(host, port, 0));
      return null;
    } catch (error) {
      if (error instanceof AddressNotAllowedError) return error.message;
      // Nobody can tell yet whether it is in a CIDR. The connection will.
      return isNamed(this.#allowed, host)
        ? null
        : `${host} does not resolve, so it is not known to be in an allowed CIDR`;
    }
  }

  /** One address at least is allowed. @throws AddressNotAllowedError, or what the resolver says */
  async #resolveAllowed(
    host: string,
    port: number,
    family: number,
  ): Promise<{ allowed: LookupAddress[]; refusals: string[] }> {
    const found = await this.#resolve(host, family);
    const allowed: LookupAddress[] = [];
    const refusals: string[] = [];
    for (const each of found) {
      const refusal = this.#refusal(host, each.address, port);
      if (refusal === null) allowed.push(each);
      else refusals.push(refusal);
    }
    if (allowed.length > 0) return { allowed, refusals };
    throw new AddressNotAllowedError(refusals[0] ?? `${host} has no address`);
  }

  #refusalOfLiteral(host: string, port: number): string | null {
    if (parseIp(host) === null) return null;
    const refusal = this.#refusal(host, host, port);
    const name = refusal === null ? undefined : this.#names.get(textOf(plainHost(host)));
    return name === undefined ? refusal : this.#refusal(name, plainHost(host), port);
  }

  /** The newest name of an address counts. */
  #name(address: string, name: string): void {
    const key = textOf(address);
    this.#names.delete(key);
    const [oldest] = this.#names.keys();
    if (oldest !== undefined && this.#names.size >= NAMES_MAX) this.#names.delete(oldest);
    this.#names.set(key, name);
  }

  #refusal(host: string, ip: string, port: number): string | null {
    const refusal = refusalOfAddress(this.#allowed, host, ip);
    const subject = plainHost(host) === plainHost(ip) ? plainHost(ip) : `${plainHost(host)} (${ip})`;
    if (refusal !== null) return `${subject} is ${refusal}`;
    const isOwn = this.#own.some((own) => own.port === port && isAt(own.host, ip));
    return isOwn ? `${subject} with port ${port} is the coordinator itself` : null;
  }
}

/** For those that are given no other. What is always refused is refused here too. */
export const OPEN_REACH = new Reach();

function isAt(listening: string, ip: string): boolean {
  const bytes = textOf(ip);
  if (listening === 'localhost') return isLoopback(ip);
  if (!WILDCARDS.includes(plainHost(listening))) return bytes === textOf(listening);
  const ofMachine = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return isLoopback(ip) || ofMachine.some(({ address }) => textOf(address) === bytes);
}

function isLoopback(ip: string): boolean {
  const bytes = parseIp(ip) ?? [];
  const isIpv4 = bytes[10] === 0xff && bytes[11] === 0xff && bytes[12] === 127;
  return isIpv4 || bytes.join() === parseIp('::1')?.join();
}

function familyOf(family: number | 'IPv4' | 'IPv6' | undefined): number {
  if (family === 'IPv6') return 6;
  return family === 'IPv4' ? 4 : (family ?? 0);
}

const textOf = (ip: string): string => parseIp(ip)?.join() ?? plainHost(ip);

const defaultPort = (protocol: string): number => (protocol === 'https:' ? 443 : 80);
/** The port that a connection to `url` goes to. */
export const portOf = (url: URL): number => (url.port === '' ? defaultPort(url.protocol) : Number(url.port));

/** Rejects when a resolver takes longer than 3 s. */
export async function inTime<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('the resolver took too long')), RESOLVE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}
