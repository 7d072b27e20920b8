/**
 * The cluster's list of routers. It is state: the setting seeds it for as long as nobody has changed it by hand. An entry
 * is the URL of one router, or a name of DNS that is resolved again before each look:
 *
 * - `http://host:port`, also `https://`
 * - `dns+http://name:port`: each address of the name (A and AAAA) is a router
 * - `dnssrv+http://name`: each address of each target of the name's SRV records, with its port
 *
 * A name without an answer is not "no routers" (INV-8): its routers are unknown, and whoever needs them waits.
 */
import { DomainError } from './errors';
import { ROUTER_ENTRY_CHARS_MAX } from './limits';
import { normalizeShardUrl } from './shard-map';

export interface ClusterRouters {
  /** In normal form, each once. */
  readonly entries: readonly string[];
  /** Changed by hand: the setting counts no longer. */
  readonly isByHand: boolean;
}

export type RouterEntry =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'dns'; readonly host: string; readonly port: number }
  | { readonly kind: 'dnssrv'; readonly name: string };

export interface FoundRouter {
  readonly url: string;
  readonly entry: string;
}

/** What a list came to just now. No URL is in it twice. */
export interface FoundRouters {
  readonly routers: readonly FoundRouter[];
  /** Entries whose routers are not all known: their name has no address, or one that may not be called. */
  readonly unknown: readonly { readonly entry: string; readonly reason: string }[];
}

const HTTP_PORT = 80;

/** @throws DomainError InvalidShardUrl, InvalidRequest */
export function normalizeRouterEntry(input: string): string {
  const text = input.trim();
  if (text.length > ROUTER_ENTRY_CHARS_MAX) {
    throw refusedEntries(`one of ${text.length} characters, and ${ROUTER_ENTRY_CHARS_MAX} is the most`);
  }
  const [, discovery, rest = ''] = /^(dns|dnssrv)\+(http:\/\/.*)$/i.exec(text) ?? [];
  if (discovery === undefined) {
    if (/^[a-z]+\+/i.test(text)) throw refusedEntries('another discovery than dns+http:// and dnssrv+http://');
    return normalizeShardUrl(text);
  }
  const url = new URL(normalizeShardUrl(rest));
  const kind = discovery.toLowerCase();
  if (url.pathname !== '/') throw refusedEntries(`a path behind a ${kind}+http:// name`);
  if (/^(?:\[|\d+(?:\.\d+){3}$)/.test(url.hostname))
    throw refusedEntries(`an address behind ${kind}+http://, which takes a name`);
  if (kind === 'dnssrv' && url.port !== '')
    throw refusedEntries('a port behind a dnssrv+http:// name, whose records have it');
  return `${kind}+http://${url.host}`;
}

/** Of an entry in normal form. */
export function readRouterEntry(entry: string): RouterEntry {
  const [, discovery, rest = ''] = /^(dns|dnssrv)\+(http:\/\/.*)$/.exec(entry) ?? [];
  if (discovery === undefined) return { kind: 'url', url: entry };
  const { hostname, port } = new URL(rest);
  if (discovery === 'dnssrv') return { kind: 'dnssrv', name: hostname };
  return { kind: 'dns', host: hostname, port: port === '' ? HTTP_PORT : Number(port) };
}

/** What a list is refused with. */
export function refusedEntries(got: string): DomainError {
  return new DomainError(
    'InvalidRequest',
    `expected routers as http://host:port, dns+http://name:port or dnssrv+http://name, got ${got}`,
  );
}
