/** Where the routers of a list are just now: names are resolved at each call, and only addresses that may be called are given. */
import { resolveSrv as resolveSrvBySystem } from 'node:dns/promises';
import { ROUTERS_FOUND_MAX } from '../../domain/limits';
import { readRouterEntry, type FoundRouter, type FoundRouters } from '../../domain/router-entries';
import { inTime, portOf, type Reach } from './reach';

export interface SrvTarget {
  readonly name: string;
  readonly port: number;
}
/** The SRV records of a name. */
export type ResolveSrv = (name: string) => Promise<readonly SrvTarget[]>;

export class RouterResolver {
  readonly #reach: Reach;
  readonly #resolveSrv: ResolveSrv;

  constructor(reach: Reach, resolveSrv: ResolveSrv = resolveSrvBySystem) {
    this.#reach = reach;
    this.#resolveSrv = resolveSrv;
  }

  /** All names side by side, each within 3 s. Never rejects: what does not resolve is unknown, with the reason. */
  async find(entries: readonly string[]): Promise<FoundRouters> {
    const found = await Promise.all(
      entries.map(async (entry) => {
        try {
          const { urls, refusals } = await this.#at(entry);
          if (refusals.length > 0) return { entry, urls, unknown: notCalled(refusals) };
          return { entry, urls, unknown: urls.length === 0 ? 'its name has no address' : null };
        } catch (error) {
          return { entry, urls: [], unknown: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
    const routers = new Map<string, FoundRouter>();
    for (const { entry, urls } of found) {
      for (const url of urls) if (!routers.has(url)) routers.set(url, { url, entry });
    }
    const unknown = found.flatMap(({ entry, unknown: reason }) => (reason === null ? [] : [{ entry, reason }]));
    const all = [...routers.values()];
    const more = all.slice(ROUTERS_FOUND_MAX);
    const reason = `the list comes to ${all.length} routers, and ${ROUTERS_FOUND_MAX} is the most`;
    const tooMany = [...new Set(more.map(({ entry }) => entry))].map((entry) => ({ entry, reason }));
    return { routers: all.slice(0, ROUTERS_FOUND_MAX), unknown: [...unknown, ...tooMany] };
  }

  /** The addresses behind a URL; none when its name does not resolve, or may not be called. Never rejects. */
  async addressesOf(url: string): Promise<readonly string[]> {
    try {
      const parsed = new URL(url);
      return (await this.#reach.resolve(parsed.hostname, portOf(parsed))).addresses;
    } catch {
      return [];
    }
  }

  async #at(entry: string): Promise<At> {
    const read = readRouterEntry(entry);
    if (read.kind === 'url') return { urls: [read.url], refusals: [] };
    if (read.kind === 'dns') return this.#atName(read.host, read.port);
    const targets = await inTime(this.#resolveSrv(read.name));
    const each = await Promise.all(targets.map(({ name, port }) => this.#atName(name, port)));
    return { urls: each.flatMap(({ urls }) => urls), refusals: each.flatMap(({ refusals }) => refusals) };
  }

  async #atName(host: string, port: number): Promise<At> {
    const { addresses, refusals } = await this.#reach.resolve(host, port);
    return {
      urls: addresses.map((ip) => new URL(`http://${ip.includes(':') ? `[${ip}]` : ip}:${port}`).origin),
      refusals,
    };
  }
}

interface At {
  readonly urls: readonly string[];
  readonly refusals: readonly string[];
}

/** INV-8: a router at such an address may hold any map, and nobody can ask it. So it is unknown, and not absent. */
function notCalled([first = '', ...more]: readonly string[]): string {
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  return `expected every address of its name to be one that may be called, ${first}${others}: allow it, or take it out of the name`;
}
