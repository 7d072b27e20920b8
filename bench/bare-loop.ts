/**
 * What the coordinator is compared with: the loop that one would write to move points by hand, without care for anything that
 * happens meanwhile. It is sequential: page after page, donor after donor, one request at a time; whole bodies through
 * JSON.parse and JSON.stringify. Connections are kept alive.
 */
import { Agent, request } from 'undici';
import { PlacementPlan } from '../src/domain/placement-plan';
import { COLLECTION } from './points';

interface Point {
  readonly id: string;
}

const PAGE_ROWS = 10_000;
const ids = { donors: [0, 1], joiner: 2 };

export interface BareCopy {
  readonly elapsedMs: number;
  /** What moved, by donor. */
  readonly idsByDonor: readonly (readonly string[])[];
}

export async function bareCopy(donorUrls: readonly string[], joinerUrl: string, key: string): Promise<BareCopy> {
  const plan = new PlacementPlan({ shards: [...ids.donors, ids.joiner], joining: [ids.joiner], leaving: [] });
  const http = new BareClient(key);
  const idsByDonor: string[][] = [];
  const startedMs = performance.now();
  for (const donorUrl of donorUrls) {
    const moved: string[] = [];
    idsByDonor.push(moved);
    for (let offset = 0; ; offset += PAGE_ROWS) {
      const page = { offset, limit: PAGE_ROWS, with_payload: true, with_vector: true };
      const { points } = (await http.send('POST', `${donorUrl}/v1/collections/${COLLECTION}/fetch`, page)) as {
        points: readonly Point[];
      };
      const mine = points.filter((point) => plan.ownerOf(Buffer.from(point.id)) === ids.joiner);
      if (mine.length > 0) {
        await http.send('POST', `${joinerUrl}/v1/collections/${COLLECTION}/points:bulk`, { points: mine });
        for (const point of mine) moved.push(point.id);
      }
      if (points.length < PAGE_ROWS) break;
    }
  }
  const elapsedMs = performance.now() - startedMs;
  await http.close();
  return { elapsedMs, idsByDonor };
}

/** Deletes from the donors what was moved, without asking whether the joiner has it. */
export async function bareDrop(
  donorUrls: readonly string[],
  idsByDonor: readonly (readonly string[])[],
  key: string,
): Promise<number> {
  const http = new BareClient(key);
  const startedMs = performance.now();
  for (const [index, donorUrl] of donorUrls.entries()) {
    const moved = idsByDonor[index] ?? [];
    for (let offset = 0; offset < moved.length; offset += PAGE_ROWS) {
      const batch = { ids: moved.slice(offset, offset + PAGE_ROWS) };
      await http.send('DELETE', `${donorUrl}/v1/collections/${COLLECTION}/points`, batch);
    }
  }
  const elapsedMs = performance.now() - startedMs;
  await http.close();
  return elapsedMs;
}

class BareClient {
  private readonly agent = new Agent({ connections: 1, bodyTimeout: 600_000, headersTimeout: 600_000 });
  private readonly headers: Record<string, string>;

  constructor(key: string) {
    this.headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  }

  async send(method: 'POST' | 'DELETE', url: string, body: unknown): Promise<unknown> {
    const { dispatcher, headers } = { dispatcher: this.agent, headers: this.headers };
    const answer = await request(url, { method, headers, dispatcher, body: JSON.stringify(body) });
    const text = await answer.body.text();
    if (answer.statusCode !== 200)
      throw new Error(`${method} ${url} answered ${answer.statusCode}: ${text.slice(0, 200)}`);
    return JSON.parse(text) as unknown;
  }

  close(): Promise<void> {
    return this.agent.close();
  }
}
