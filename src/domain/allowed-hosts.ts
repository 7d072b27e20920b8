/**
 * Which addresses of shards and routers may be called. Some never are, whatever the settings allow: an address of these
 * kinds is no shard, and may be a service that trusts whoever reaches it. Judged is the address that a name resolved to.
 */

/** 16 bytes. An IPv4 address is in its IPv4-mapped form, so that both spellings of it are the same. */
export type IpBytes = readonly number[];

interface Range {
  readonly bytes: IpBytes;
  readonly bits: number;
}

/** What `COORDINATOR_ALLOWED_HOSTS` holds. Without any item every address is allowed that is not always refused. */
export interface AllowedHosts {
  readonly hosts: readonly string[];
  readonly ranges: readonly Range[];
}

export const EVERY_HOST: AllowedHosts = { hosts: [], ranges: [] };

const IPV4_BITS = 32;
const IPV6_BITS = 128;
const MAPPED_PREFIX: IpBytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const HOST_PATTERN = /^(?:\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?)$/;

const METADATA = 'an address of cloud metadata';
/** Never called. The metadata services of AWS, Google, Azure, Oracle and DigitalOcean are also at 169.254.169.254. */
const REFUSED: readonly (readonly [cidr: string, what: string])[] = [
  ['0.0.0.0/8', 'an unspecified address'],
  ['::/128', 'an unspecified address'],
  ['169.254.0.0/16', 'a link-local address'],
  ['fe80::/10', 'a link-local address'],
  ['224.0.0.0/4', 'a multicast address'],
  ['ff00::/8', 'a multicast address'],
  ['255.255.255.255/32', 'the broadcast address'],
  // Alibaba, Azure's host, Oracle, and AWS and Google over IPv6.
  ['100.100.100.200/32', METADATA],
  ['168.63.129.16/32', METADATA],
  ['192.0.0.192/32', METADATA],
  ['fd00:ec2::/32', METADATA],
  ['fd20:ce::254/128', METADATA],
];
const METADATA_NAMES: readonly string[] = ['metadata.google.internal', 'metadata.goog', 'instance-data.ec2.internal'];
const REFUSED_RANGES = REFUSED.map(([cidr, what]) => ({ range: parseRange(cidr), what }));

/** IPv6 addresses that carry an IPv4 address, by the place where it stands. A gateway sends them on to that address. */
const CARRIERS: readonly (readonly [prefix: string, bits: number, at: number])[] = [
  ['::', 96, 12],
  ['::ffff:0:0:0', 96, 12],
  ['64:ff9b::', 96, 12],
  ['2002::', 16, 2],
];
const CARRIER_RANGES = CARRIERS.map(([prefix, bits, at]) => ({ range: { bytes: parseIp(prefix) ?? [], bits }, at }));

/** Null: the item is neither a host pattern nor a range of addresses. */
export function readAllowedHosts(items: readonly string[]): AllowedHosts | null {
  const hosts: string[] = [];
  const ranges: Range[] = [];
  for (const item of items) {
    const range = parseRange(item);
    const host = item.toLowerCase().replace(/\.$/, '');
    if (range !== null) ranges.push(range);
    // What ends in a number is an address to a browser and to Node, so a bad one must not count as a name.
    else if (HOST_PATTERN.test(host) && !/(?:^|\.)\d+$/.test(host)) hosts.push(host);
    else return null;
  }
  return { hosts, ranges };
}

/** Why the address may not be called, as half a sentence, or null. `host` is what the URL names, `ip` what it resolved to. */
export function refusalOfAddress(allowed: AllowedHosts, host: string, ip: string): string | null {
  const bytes = parseIp(ip);
  if (bytes === null) return 'no address that can be read';
  const refused = alwaysRefused(bytes) ?? refusalOfName(host);
  if (refused !== null) return `${refused}, which is never called`;
  return isAllowed(allowed, host, bytes) ? null : 'not one that COORDINATOR_ALLOWED_HOSTS allows';
}

/** Of a name alone, before it is resolved: why nothing that it resolves to could be called, or null. */
export function refusalOfHost(allowed: AllowedHosts, host: string): string | null {
  const refused = refusalOfName(host);
  if (refused !== null) return `${refused}, which is never called`;
  const isOpen = allowed.ranges.length > 0 || isNamed(allowed, host);
  return isOpen ? null : 'not one that COORDINATOR_ALLOWED_HOSTS allows';
}

/** Its name alone is enough, whatever it resolves to. */
export function isNamed(allowed: AllowedHosts, host: string): boolean {
  return isEveryHost(allowed) || matchesHost(allowed, host);
}

/** The host of a URL, without brackets or a trailing dot, in lower case. */
export function plainHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

function refusalOfName(host: string): string | null {
  return METADATA_NAMES.includes(plainHost(host)) ? 'a name of cloud metadata' : null;
}

function alwaysRefused(bytes: IpBytes): string | null {
  for (const each of [bytes, ...carriedBy(bytes)]) {
    const found = REFUSED_RANGES.find(({ range }) => range !== null && isIn(each, range));
    if (found !== undefined) return found.what;
  }
  return null;
}

/** ::1 is no carrier of 0.0.0.1. */
function carriedBy(bytes: IpBytes): IpBytes[] {
  if (bytes.slice(0, 15).every((byte) => byte === 0)) return [];
  const found = CARRIER_RANGES.filter(({ range }) => isIn(bytes, range));
  return found.map(({ at }) => [...MAPPED_PREFIX, ...bytes.slice(at, at + 4)]);
}

function isAllowed(allowed: AllowedHosts, host: string, bytes: IpBytes): boolean {
  return isNamed(allowed, host) || allowed.ranges.some((range) => isIn(bytes, range));
}

const isEveryHost = ({ hosts, ranges }: AllowedHosts): boolean => hosts.length === 0 && ranges.length === 0;

/** `*.a.b` are all names below a.b, at any depth, and not a.b itself. An address in a URL is no name. */
function matchesHost({ hosts }: AllowedHosts, host: string): boolean {
  const name = plainHost(host);
  const isName = parseIp(name) === null;
  return hosts.some((pattern) => {
    if (pattern === '*') return true;
    return isName && (pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern);
  });
}

function isIn(bytes: IpBytes, { bytes: prefix, bits }: Range): boolean {
  return bytes.every((byte, index) => {
    const significant = Math.min(8, Math.max(0, bits - 8 * index));
    return (byte ^ (prefix[index] ?? 0)) >> (8 - significant) === 0;
  });
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. */
function parseRange(text: string): Range | null {
  const [address = '', length, ...more] = text.split('/');
  const bytes = parseIp(address);
  if (bytes === null || more.length > 0) return null;
  const isIpv4 = !address.includes(':');
  const bitsMax = isIpv4 ? IPV4_BITS : IPV6_BITS;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return null;
  const bits = length === undefined ? bitsMax : Number(length);
  if (bits > bitsMax) return null;
  return { bytes, bits: isIpv4 ? IPV6_BITS - IPV4_BITS + bits : bits };
}

/** Null: the text is no IP address. A zone (`fe80::1%eth0`) does not count. */
export function parseIp(text: string): IpBytes | null {
  const address = plainHost(text).replace(/%.*$/, '');
  if (!address.includes(':')) {
    const four = parseIpv4(address);
    return four === null ? null : [...MAPPED_PREFIX, ...four];
  }
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = halves.map(parseGroups);
  if (head == null || tail === null) return null;
  if (tail === undefined) return head.length === 16 ? head : null;
  const missing = 16 - head.length - tail.length;
  return missing < 2 ? null : [...head, ...Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string): number[] | null {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    const four = index === groups.length - 1 && group.includes('.') ? parseIpv4(group) : null;
    if (four !== null) bytes.push(...four);
    else if (/^[0-9a-f]{1,4}$/.test(group)) bytes.push(parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff);
    else return null;
  }
  return bytes;
}

/** Only the plain form. A URL brings all others into it, and a resolver gives it. */
function parseIpv4(text: string): number[] | null {
  if (!/^(?:\d{1,3}\.){3}\d{1,3}$/.test(text)) return null;
  const bytes = text.split('.').map(Number);
  return bytes.every((byte) => byte <= 0xff) ? bytes : null;
}
