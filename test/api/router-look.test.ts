import { NO_IDENTITY } from '../../src/domain/members';
import { pino } from 'pino';
import { RouterLook } from '../../src/api/router-look';
import type { ClusterTransition } from '../../src/contract/cluster';
import { seedState } from '../../src/domain/cluster-state';
import type { ShardMap } from '../../src/domain/shard-map';
import { at } from '../support/domain-builders';

const URL_OF_ROUTER = 'http://r0:6333';
const seeds: ShardMap = { ...seedState([at('s0')]).map, version: 0 };
const map: ShardMap = { ...seedState([at('s0'), at('s1')]).map, version: 4 };

/** A look at one router that shows `shown`, or does not answer. */
function looking(shown: ShardMap | null, routerUrls = [URL_OF_ROUTER]) {
  const transitions: ClusterTransition[] = [];
  const clock = { nowMs: 1_000_000 };
  const held = { shown };
  const look = new RouterLook({
    routerUrls,
    askRouter: () =>
      held.shown === null
        ? Promise.reject(new Error('refused'))
        : Promise.resolve({ version: held.shown.version, map: held.shown }),
    client: {
      queryMap: () => Promise.resolve(map),
      applyTransition: (transition) => {
        transitions.push(transition);
        return Promise.resolve({ map, lock: null, identity: NO_IDENTITY, epoch: 0 });
      },
    },
    logger: pino({ level: 'silent' }),
    nowMs: () => clock.nowMs,
  });
  return { look, transitions, clock, held };
}

describe('RouterLook', () => {
  it('records a router that serves its seeds, with the shards that it writes to', async () => {
    const { look, transitions } = looking(seeds);
    await look.look();
    expect(transitions).toMatchObject([
      { type: 'notice', notices: [{ key: 'RouterServesSeeds.http_r0_6333', operationId: null }] },
    ]);
    expect(JSON.stringify(transitions)).toContain('http://s0:6333');
  });

  it('records it again only after a while, so that no history grows with it', async () => {
    const { look, transitions, clock } = looking(seeds);
    for (let n = 0; n < 5; n++) {
      await look.look();
      clock.nowMs += 60_000;
    }
    expect(transitions).toHaveLength(1);
    clock.nowMs += 10 * 60_000;
    await look.look();
    expect(transitions).toHaveLength(2);
  });

  it.each([
    ['holds the map', map],
    ['does not answer', null],
  ])('records nothing of a router that %s', async (_what, shown) => {
    const { look, transitions } = looking(shown);
    await look.look();
    expect(transitions).toEqual([]);
  });

  it('remembers what each router said, for the metrics', async () => {
    const { look, held } = looking({ ...map, version: 3 });
    expect(look.seen).toEqual([]);
    await look.look();
    expect(look.seen).toEqual([{ url: URL_OF_ROUTER, version: 3, mapVersion: 4 }]);
    held.shown = null;
    await look.look();
    expect(look.seen).toEqual([{ url: URL_OF_ROUTER, version: null, mapVersion: 4 }]);
  });
});
