/** What the identity rests on, tried on real Quiver: an atomic claim, and a follower that shows it after everything before it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { ShardClient } from '../../../src/shards/http/shard-client';
import { claim, dropIdentity, readIdentity, writeEpoch } from '../../../src/shards/http/shard-identity';
import { freePort } from '../../support/free-port';
import { describeWithQuiver, quiverBinary, startQuiver, type RealQuiver } from '../../support/real-quiver';
import { inTime } from '../../support/shard-fixture';
import { waitFor } from '../../support/wait-for';

const KEY = 'shard-key';

describeWithQuiver('the identity on real Quiver', () => {
  const dispatcher = new Agent();
  const quivers: RealQuiver[] = [];
  let dir: string;
  let shard: ShardClient;
  let follower: ShardClient;

  const clientOf = ({ url }: RealQuiver): ShardClient =>
    new ShardClient({ address: { primary_url: url, replica_urls: [] }, key: KEY, dispatcher });

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'identity-on-quiver-'));
    const grpcPort = await freePort();
    const start = async (name: string, env: Record<string, string>) => {
      const options = {
        role: 'shard',
        binary: quiverBinary() ?? '',
        dataDir: join(dir, name),
        keys: [KEY],
        env,
      } as const;
      const quiver = await startQuiver(options);
      quivers.push(quiver);
      return clientOf(quiver);
    };
    shard = await start('primary', { QUIVER_GRPC_ADDR: `127.0.0.1:${grpcPort}` });
    follower = await start('follower', {
      QUIVER_LEADER_URL: `http://127.0.0.1:${grpcPort}`,
      QUIVER_LEADER_API_KEY: KEY,
    });
  }, 60_000);
  afterAll(async () => {
    await Promise.all(quivers.map((quiver) => quiver.kill()));
    await dispatcher.destroy();
    await rm(dir, { recursive: true, force: true });
  });

  it('is given to one of 20 that claim it at once, shown by a follower with its epoch, and gone when it is dropped', async () => {
    const identities = Array.from({ length: 20 }, (_, n) => ({
      clusterUid: `uid-${n}`,
      cluster: 'prod;shard=7%',
      shardId: n,
      operationId: 'grow-a',
    }));
    const outcomes = await Promise.allSettled(identities.map((each) => claim(shard, each, inTime())));
    const winners = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
    expect(winners).toHaveLength(1);
    const identity = identities[winners[0]!]!;
    expect(await readIdentity(shard, inTime())).toEqual({ identity, epoch: null });

    for (const epoch of [3, 9, 5]) await writeEpoch(shard, epoch, inTime());
    expect(await readIdentity(shard, inTime())).toEqual({ identity, epoch: 9 });
    expect(await shard.listCollections(inTime())).toEqual([]);
    const shown = await waitFor('the follower shows the epoch', async () => {
      const seen = await readIdentity(follower, inTime());
      return seen?.epoch === 9 ? seen : null;
    });
    expect(shown).toEqual({ identity, epoch: 9 });

    expect(await dropIdentity(shard, identity, inTime())).toBe('dropped');
    expect(await readIdentity(shard, inTime())).toBeNull();
  });
});
