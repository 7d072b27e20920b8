import { DOCS, failureOf, ID, inTime, RAW, shardFixture } from '../../support/shard-fixture';
import { json, problem, type Behaviour, type StubShard } from '../../support/stub-shard';

const { shardThat, clientOf } = shardFixture();

describe('ShardClient: leaders', () => {
  const follower: Behaviour = (response) => problem(response, 421, 'not the leader');
  const leader: Behaviour = (response) => json(response, { deleted: 1 });

  it('goes on to the other addresses after a 421, and begins with the leader from then on', async () => {
    const [first, second] = [await shardThat(follower), await shardThat(leader)];
    const client = clientOf(first.url, { replicas: [second.url] });
    expect(await client.deletePoints('docs', [ID], inTime())).toBe(1);
    expect(await client.deletePoints('docs', [ID], inTime())).toBe(1);
    expect([first.attempts, second.attempts]).toEqual([1, 2]);
  });

  it('finds the new leader after the remembered one has stepped down', async () => {
    const [first, second] = [await shardThat(follower), await shardThat(leader)];
    const client = clientOf(first.url, { replicas: [second.url] });
    await client.deletePoints('docs', [ID], inTime());
    [first.behaviour, second.behaviour] = [leader, follower];
    expect(await client.deletePoints('docs', [ID], inTime())).toBe(1);
    expect([first.attempts, second.attempts]).toEqual([2, 2]);
  });

  it('fails as NotLeader when no address leads, having asked each once', async () => {
    const [first, second] = [await shardThat(follower), await shardThat(follower)];
    const error = await failureOf(clientOf(first.url, { replicas: [second.url] }).upsert('docs', [RAW], inTime()));
    expect(error).toMatchObject({ code: 'NotLeader', outcomeUnknown: false, shardUrl: first.url });
    expect([first.attempts, second.attempts]).toEqual([1, 1]);
  });

  it('passes over an address that refuses connections while it looks for the leader', async () => {
    const [first, dead, third] = [await shardThat(follower), await shardThat(leader), await shardThat(leader)];
    await dead.stop();
    const client = clientOf(first.url, { replicas: [dead.url, third.url] });
    expect(await client.deletePoints('docs', [ID], inTime())).toBe(1);
  });

  it('sends a write nowhere else after an address may have carried it out', async () => {
    const [first, second] = [await shardThat(follower), await shardThat((response) => void response.destroy())];
    const third = await shardThat(leader);
    const client = clientOf(first.url, { replicas: [second.url, third.url] });
    const error = await failureOf(client.upsert('docs', [RAW], inTime()));
    expect(error).toMatchObject({ code: 'Unreachable', outcomeUnknown: true, shardUrl: second.url });
    expect(third.attempts).toBe(0);
  });

  it('begins with the primary again after the leader that it remembers has died', async () => {
    const [first, second] = [await shardThat(follower), await shardThat(leader)];
    const client = clientOf(first.url, { replicas: [second.url] });
    await client.deletePoints('docs', [ID], inTime());
    await second.stop();
    first.behaviour = leader;
    expect(await failureOf(client.deletePoints('docs', [ID], inTime()))).toMatchObject({ code: 'Unreachable' });
    expect(await client.deletePoints('docs', [ID], inTime())).toBe(1);
  });

  const rows: Behaviour = (response) => json(response, [DOCS]);
  const asLeader: Behaviour = (response, received, attempt) =>
    (received.method === 'DELETE' ? leader : rows)(response, received, attempt);
  /** As Quiver answers: reads from what it holds, writes with a 421. */
  const asFollower: Behaviour = (response, received, attempt) =>
    (received.method === 'DELETE' ? follower : rows)(response, received, attempt);
  const readsOf = (shard: StubShard): number => shard.received.filter(({ method }) => method === 'GET').length;

  it('reads from the leader once it has looked for it, and deletes nothing for that', async () => {
    const [first, second] = [await shardThat(asFollower), await shardThat(asLeader)];
    const client = clientOf(first.url, { replicas: [second.url] });
    await client.findLeader(inTime());
    await client.listCollections(inTime());
    expect([readsOf(first), readsOf(second)]).toEqual([0, 1]);
    expect(second.received[0]).toMatchObject({ method: 'DELETE', body: '{"ids":[]}' });
  });

  it('takes an address that misses the probed collection for the leader: a follower would not have looked', async () => {
    const missing: Behaviour = (response, received, attempt) =>
      received.method === 'DELETE'
        ? problem(response, 404, 'collection not found: x')
        : rows(response, received, attempt);
    const [first, second] = [await shardThat(asFollower), await shardThat(missing)];
    const client = clientOf(first.url, { replicas: [second.url] });
    await client.findLeader(inTime());
    await client.listCollections(inTime());
    expect([readsOf(first), readsOf(second)]).toEqual([0, 1]);
  });

  it.each([
    ['is dead', (shard: StubShard) => shard.stop()],
    ['has trouble', (shard: StubShard) => void (shard.behaviour = (response) => problem(response, 500, ''))],
  ])('finds the leader behind a primary that %s', async (_title, breakIt) => {
    const [first, second, third] = [await shardThat(rows), await shardThat(asFollower), await shardThat(asLeader)];
    await breakIt(first);
    const client = clientOf(first.url, { replicas: [second.url, third.url] });
    await client.findLeader(inTime());
    await client.listCollections(inTime());
    expect([readsOf(second), readsOf(third)]).toEqual([0, 1]);
  });

  it('says of a shard without a leader why the address that may lead did not say so', async () => {
    const overloaded: Behaviour = (response) => problem(response, 429, '');
    const [first, second] = [await shardThat(asFollower), await shardThat(overloaded)];
    const client = clientOf(first.url, { replicas: [second.url] });
    expect(await failureOf(client.findLeader(inTime()))).toMatchObject({ code: 'Overloaded', shardUrl: second.url });
    second.behaviour = asFollower;
    expect(await failureOf(client.findLeader(inTime()))).toMatchObject({ code: 'NotLeader', shardUrl: first.url });
  });

  it('does not read from the primary when the leader cannot be reached, because the primary may lag behind', async () => {
    const [first, second] = [await shardThat(asFollower), await shardThat(asLeader)];
    const client = clientOf(first.url, { replicas: [second.url] });
    await client.findLeader(inTime());
    await second.stop();
    for (let read = 0; read < 2; read++) {
      expect(await failureOf(client.listCollections(inTime()))).toMatchObject({ code: 'Unreachable' });
    }
    expect(readsOf(first)).toBe(0);
  });

  it('stays with the leader that was found while a read of the address before it was under way', async () => {
    let answer = (): void => undefined;
    let received = (): void => undefined;
    const isReading = new Promise<void>((resolve) => (received = resolve));
    const slow: Behaviour = (response, request, attempt) => {
      if (request.method === 'DELETE') return follower(response, request, attempt);
      answer = () => json(response, [DOCS]);
      received();
    };
    const [first, second] = [await shardThat(slow), await shardThat(asLeader)];
    const client = clientOf(first.url, { replicas: [second.url] });
    const read = client.listCollections(inTime());
    await isReading;
    await client.findLeader(inTime());
    answer();
    await read;
    await client.listCollections(inTime());
    expect([readsOf(first), readsOf(second)]).toEqual([1, 1]);
  });

  it('asks nothing of a shard without replicas', async () => {
    const shard = await shardThat(asLeader);
    await clientOf(shard.url).findLeader(inTime());
    expect(shard.attempts).toBe(0);
  });
});
