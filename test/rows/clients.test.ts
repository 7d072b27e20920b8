import { RemoteClients } from '../../src/rows/remote/clients';
import type { ThreadOptions } from '../../src/rows/thread/protocol';
import { inTime } from '../support/shard-fixture';
import { startShard, type InProcessShard } from '../support/in-process-shard';

const PLAIN: ThreadOptions = {
  key: { given: ['old', 'new'], file: null },
  grpcPortOffset: 1,
  spoolFolder: '/absent',
  reach: { allowed: ['127.0.0.0/8'], own: [] },
};

describe('the clients of a thread', () => {
  let shard: InProcessShard;
  let clients: RemoteClients;
  beforeEach(async () => {
    shard = await startShard({ keys: ['new'] });
  });
  afterEach(async () => {
    clients.close();
    await shard.stop();
  });

  const answers = (options: ThreadOptions): Promise<PromiseSettledResult<unknown>[]> => {
    // What a thread is given is copied.
    clients = new RemoteClients(structuredClone(options));
    const rest = clients.rest({ primary_url: shard.url, replica_urls: [] });
    return Promise.allSettled([rest.listCollections(inTime()), clients.grpc(shard.grpcUrl).listCollections(inTime())]);
  };

  it('try both keys', async () => {
    expect(await answers(PLAIN)).toEqual([
      { status: 'fulfilled', value: [] },
      { status: 'fulfilled', value: [] },
    ]);
  });

  it('call only what is allowed', async () => {
    const refused = { status: 'rejected', reason: { code: 'AddressNotAllowed' } };
    expect(await answers({ ...PLAIN, reach: { allowed: ['10.0.0.0/8'], own: [] } })).toMatchObject([refused, refused]);
    expect(shard.requests).toEqual([]);
  });
});
