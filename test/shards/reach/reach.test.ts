import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { DomainError } from '../../../src/domain/errors';
import { ShardError } from '../../../src/shards/errors';
import { ShardClient } from '../../../src/shards/http/shard-client';
import { RouterWatch } from '../../../src/shards/http/router-watch';
import { Reach, type OwnPort, type Resolve } from '../../../src/shards/reach/reach';
import { ShardGrpc } from '../../../src/shards/stream/shard-grpc';
import { json, StubShard } from '../../support/stub-shard';

const KEY = 'secret-of-the-shard';

/** What each name resolves to. Absent ones do not resolve. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  's0.quiver.svc': ['10.1.0.1'],
  'a.b.quiver.svc': ['10.1.0.2'],
  'quiver.svc': ['10.1.0.3'],
  's0.other.svc': ['192.168.7.7'],
  'metadata.evil.example': ['169.254.169.254'],
  'meta.quiver.svc': ['169.254.169.254'],
  'mixed.example': ['169.254.169.254', '10.1.0.4'],
  'mapped.example': ['::ffff:169.254.169.254'],
  'self.example': ['127.0.0.1'],
  'v6.example': ['fd00:1::7'],
};

const resolve: Resolve = (host) => {
  const found = NAMES[host];
  if (found === undefined) return Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));
  return Promise.resolve(found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
};

const OWN: OwnPort = { host: '127.0.0.1', port: 6333 };
const ofMachine = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

const open = new Reach({ allowed: [], own: [OWN] }, resolve);
const closed = new Reach(
  { allowed: ['*.quiver.svc', 'exact.example', '10.0.0.0/8', 'fd00:1::/32', '172.16.0.1'], own: [] },
  resolve,
);

async function refusal(reach: Reach, url: string): Promise<string | null> {
  try {
    await reach.requireAllowed([url]);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(DomainError);
    expect(error).toMatchObject({ code: 'AddressNotAllowed' });
    return (error as DomainError).message;
  }
}

/** Every spelling of one address counts as that address. */
const ALWAYS_REFUSED: readonly (readonly [url: string, why: string])[] = [
  ['http://0.0.0.0:6333', 'unspecified'],
  ['http://0:6333', 'unspecified'],
  ['http://0.0.0.7:6333', 'unspecified'],
  ['http://[::]:6333', 'unspecified'],
  ['http://[::ffff:0.0.0.0]:6333', 'unspecified'],
  ['http://[0:0:0:0:0:0:0:0]:6333', 'unspecified'],
  ['http://169.254.169.254', 'link-local'],
  ['http://169.254.169.254:80/latest', 'link-local'],
  ['https://169.254.169.254', 'link-local'],
  ['http://169.254.0.1:6333', 'link-local'],
  ['http://169.254.255.255:6333', 'link-local'],
  ['http://0xa9fea9fe:6333', 'link-local'],
  ['http://0xa9.0xfe.0xa9.0xfe', 'link-local'],
  ['http://2852039166:6333', 'link-local'],
  ['http://0251.0376.0251.0376', 'link-local'],
  ['http://169.254.43518', 'link-local'],
  ['http://169.254.169.254.:6333', 'link-local'],
  ['http://[fe80::1]:6333', 'link-local'],
  ['http://[febf:ffff::1]:6333', 'link-local'],
  ['http://[::ffff:169.254.169.254]', 'link-local'],
  ['http://[::ffff:a9fe:a9fe]:6333', 'link-local'],
  ['http://[0:0:0:0:0:ffff:a9fe:a9fe]', 'link-local'],
  ['http://[::a9fe:a9fe]', 'link-local'],
  ['http://[::ffff:0:a9fe:a9fe]', 'link-local'],
  ['http://[64:ff9b::a9fe:a9fe]', 'link-local'],
  ['http://[2002:a9fe:a9fe::1]', 'link-local'],
  ['http://224.0.0.1:6333', 'multicast'],
  ['http://239.255.255.255:6333', 'multicast'],
  ['http://[ff02::1]:6333', 'multicast'],
  ['http://[::ffff:224.0.0.1]:6333', 'multicast'],
  ['http://255.255.255.255:6333', 'broadcast'],
  ['http://100.100.100.200', 'cloud metadata'],
  ['http://168.63.129.16', 'cloud metadata'],
  ['http://192.0.0.192', 'cloud metadata'],
  ['http://[fd00:ec2::254]', 'cloud metadata'],
  ['http://[fd20:ce::254]', 'cloud metadata'],
  ['http://metadata.google.internal', 'cloud metadata'],
  ['http://METADATA.google.INTERNAL.', 'cloud metadata'],
  ['http://metadata.goog:6333', 'cloud metadata'],
  ['http://metadata.evil.example:6333', 'link-local'],
  ['http://meta.quiver.svc:6333', 'link-local'],
  ['http://mapped.example:6333', 'link-local'],
];

const REFUSED_AS_OWN: readonly string[] = [
  'http://127.0.0.1:6333',
  'http://127.1:6333',
  'http://0x7f000001:6333',
  'http://[::ffff:127.0.0.1]:6333',
  'http://self.example:6333',
];

const ALLOWED_WHEN_OPEN: readonly string[] = [
  'http://127.0.0.1:6334',
  'http://127.0.0.2:6333',
  'http://[::1]:6333',
  'http://10.1.2.3:6333',
  'http://172.16.0.1:6333',
  'http://192.168.1.1:6333',
  'http://8.8.8.8:6333',
  'http://100.100.100.201:6333',
  'http://169.253.255.255:6333',
  'http://169.255.0.0:6333',
  'http://223.255.255.255:6333',
  'http://1.0.0.0:6333',
  'http://[fd00:1::7]:6333',
  'http://[fec0::1]:6333',
  'http://[2001:db8::1]:6333',
  'http://[64:ff9b::a01:203]:6333',
  'http://s0.other.svc:6333',
  'http://v6.example:6333',
  'http://mixed.example:6333',
  'http://nowhere.example:6333',
  'http://self.example:6334',
];

const ALLOWED_BY_LIST: readonly string[] = [
  'http://s0.quiver.svc:6333',
  'http://S0.Quiver.SVC.:6333',
  'http://a.b.quiver.svc:6333',
  'http://nowhere.quiver.svc:6333',
  'http://exact.example:6333',
  'http://10.255.255.255:6333',
  'http://[::ffff:10.0.0.1]:6333',
  'http://[fd00:1:ffff::1]:6333',
  'http://172.16.0.1:6333',
  'http://mixed.example:6333',
  'http://v6.example:6333',
  // Its name is not in the list, and what it resolves to is.
  'http://quiver.svc:6333',
];

const REFUSED_BY_LIST: readonly string[] = [
  'http://s0.other.svc:6333',
  'http://quiver.svc.evil.example:6333',
  'http://evilquiver.svc:6333',
  'http://nowhere.example:6333',
  'http://self.example:6333',
  'http://11.0.0.1:6333',
  'http://9.255.255.255:6333',
  'http://172.16.0.2:6333',
  'http://127.0.0.1:6333',
  'http://[::1]:6333',
  'http://[fd00:2::1]:6333',
  // A gateway would send it on to an allowed address, but it is another one.
  'http://[64:ff9b::a00:1]:6333',
];

describe('an address that a person gives', () => {
  it.each(ALWAYS_REFUSED)('is refused whatever the settings allow: %s, %s', async (url, why) => {
    const all = new Reach({ allowed: ['*', '0.0.0.0/0', '::/0', '*.quiver.svc'], own: [] }, resolve);
    for (const reach of [open, closed, all]) {
      const message = await refusal(reach, url);
      expect(message).toContain('COORDINATOR_ALLOWED_HOSTS');
      if (reach !== closed) expect(message).toContain(why);
    }
  });

  it.each(REFUSED_AS_OWN)('is refused when it is that of the coordinator: %s', async (url) => {
    expect(await refusal(open, url)).toContain('is the coordinator itself');
  });

  it.each(ALLOWED_WHEN_OPEN)('is taken without a list: %s', async (url) => {
    expect(await refusal(open, url)).toBeNull();
  });

  it.each(ALLOWED_BY_LIST)('is taken when the list has it: %s', async (url) => {
    expect(await refusal(closed, url)).toBeNull();
  });

  it.each(REFUSED_BY_LIST)('is refused when the list does not have it: %s', async (url) => {
    expect(await refusal(closed, url)).toContain('COORDINATOR_ALLOWED_HOSTS');
  });

  it('is refused on every address of the machine when the coordinator listens on all of them', async () => {
    const reach = new Reach({ allowed: [], own: [{ host: '0.0.0.0', port: 6333 }] }, resolve);
    const urls = ['http://127.0.0.1:6333', 'http://127.9.9.9:6333', 'http://[::1]:6333'];
    if (ofMachine !== undefined) urls.push(`http://${ofMachine}:6333`);
    for (const url of urls) expect(await refusal(reach, url)).toContain('is the coordinator itself');
    expect(await refusal(reach, 'http://10.1.2.3:6333')).toBeNull();
  });
});

describe('a connection to a shard', () => {
  let shard: StubShard;
  let port: number;
  beforeEach(async () => {
    shard = await new StubShard((response) => json(response, [])).start();
    port = Number(new URL(shard.url).port);
  });
  afterEach(() => shard.stop());

  const clientOf = (url: string, reach: Reach): ShardClient =>
    new ShardClient({ address: { primary_url: url, replica_urls: [] }, key: KEY, dispatcher: reach.dispatcher });
  const inTime = () => ({ deadlineMs: Date.now() + 5_000 });
  const failureOf = async (call: Promise<unknown>): Promise<ShardError> => {
    const error: unknown = await call.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ShardError);
    expect((error as ShardError).message).not.toContain(KEY);
    return error as ShardError;
  };
  /** A name with one answer after another; the last one stays. */
  const changing = (...answers: readonly string[]): Resolve & { asked: number } => {
    const resolver = Object.assign(
      () => Promise.resolve([{ address: answers[Math.min(resolver.asked++, answers.length - 1)]!, family: 4 }]),
      { asked: 0 },
    );
    return resolver;
  };

  it('is made to a name whose address is allowed', async () => {
    const reach = new Reach({ allowed: ['127.0.0.0/8'], own: [] }, changing('127.0.0.1'));
    expect(await clientOf(`http://s0.example:${port}`, reach).listCollections(inTime())).toEqual([]);
    expect(shard.received[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
    await reach.close();
  });

  it('is made to the allowed address alone, where its name has others too', async () => {
    const both: Resolve = () => Promise.resolve(['127.0.0.2', '127.0.0.1'].map((address) => ({ address, family: 4 })));
    const url = `http://s0.example:${port}`;
    const allowing = async (address: string, asks: (client: ShardClient) => Promise<void>): Promise<void> => {
      const reach = new Reach({ allowed: [address], own: [] }, both);
      await asks(clientOf(url, reach));
      await reach.close();
    };
    // Nothing listens at 127.0.0.2.
    await allowing('127.0.0.2', async (client) => {
      expect((await failureOf(client.listCollections(inTime()))).code).not.toBe('AddressNotAllowed');
    });
    expect(shard.attempts).toBe(0);
    await allowing('127.0.0.1', async (client) => {
      expect(await client.listCollections(inTime())).toEqual([]);
    });
    await allowing('10.0.0.0/8', async (client) => {
      const failure = await failureOf(client.listCollections(inTime()));
      expect(failure.code).toBe('AddressNotAllowed');
      expect(failure.message).toContain('s0.example (127.0.0.2) is not one that COORDINATOR_ALLOWED_HOSTS allows');
    });
    expect(shard.attempts).toBe(1);
  });

  it('is not made to a name that changes its answer after it was looked at', async () => {
    const resolver = changing('10.1.2.3', '127.0.0.1');
    const reach = new Reach({ allowed: ['10.0.0.0/8'], own: [] }, resolver);
    await reach.requireAllowed([`http://rebind.example:${port}`]);
    const failure = await failureOf(clientOf(`http://rebind.example:${port}`, reach).listCollections(inTime()));
    expect(failure).toMatchObject({ code: 'AddressNotAllowed', outcomeUnknown: false, status: null });
    expect(failure.message).toContain('127.0.0.1');
    expect(resolver.asked).toBe(2);
    expect(shard.attempts).toBe(0);
    await reach.close();
  });

  it.each(['127.0.0.1', '[::ffff:127.0.0.1]', '2130706433'])('is not made to the address %s itself', async (host) => {
    const reach = new Reach({ allowed: ['10.0.0.0/8'], own: [] });
    const failure = await failureOf(clientOf(`http://${host}:${port}`, reach).listCollections(inTime()));
    expect(failure.code).toBe('AddressNotAllowed');
    expect(shard.attempts).toBe(0);
    await reach.close();
  });

  it('is not made to a port that became the own one later', async () => {
    const reach = new Reach();
    const client = clientOf(shard.url, reach);
    reach.addOwn({ host: '127.0.0.1', port });
    expect((await failureOf(client.listCollections(inTime()))).code).toBe('AddressNotAllowed');
    await reach.close();
  });

  it('is not made to a metadata address without any Reach of its own', async () => {
    const client = new ShardClient({ address: { primary_url: 'http://169.254.169.254', replica_urls: [] }, key: KEY });
    expect((await failureOf(client.listCollections(inTime()))).code).toBe('AddressNotAllowed');
  });

  it.each([301, 302, 303, 307, 308])('follows no redirect with status %d', async (status) => {
    const target = await new StubShard((response) => json(response, [])).start();
    shard.behaviour = (response) => {
      response.writeHead(status, { location: `${target.url}/v1/collections` }).end();
    };
    const failure = await failureOf(clientOf(shard.url, new Reach()).listCollections(inTime()));
    expect(failure).toMatchObject({ code: 'MalformedReply', status });
    expect(target.attempts).toBe(0);
    expect(shard.attempts).toBe(1);
    await target.stop();
  });

  it('follows no redirect to a metadata address', async () => {
    shard.behaviour = (response) => {
      response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
    };
    const failure = await failureOf(clientOf(shard.url, new Reach()).listCollections(inTime()));
    expect(failure).toMatchObject({ code: 'MalformedReply', status: 302 });
    expect(shard.attempts).toBe(1);
  });

  it('is watched only where it may be called', async () => {
    const reach = new Reach({ allowed: ['10.0.0.0/8'], own: [] });
    const watch = new RouterWatch({ routerUrls: [shard.url], key: KEY, reach });
    await watch.ask(2_000);
    const [router] = watch.snapshot().routers;
    expect(router?.problem).toContain('COORDINATOR_ALLOWED_HOSTS');
    expect(shard.attempts).toBe(0);
    await watch.close();
  });
});

describe('a gRPC connection to a shard', () => {
  let server: Server;
  let connections = 0;
  let port: number;
  beforeEach(async () => {
    connections = 0;
    server = createServer().on('connection', (socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => new Promise((done) => server.close(done)));

  const listed = async (url: string, reach: Reach): Promise<unknown> => {
    const grpc = new ShardGrpc({ url, key: KEY, reach, requestTimeoutMs: 2_000 });
    try {
      return await grpc.listCollections({ deadlineMs: Date.now() + 2_000 });
    } catch (error) {
      return error;
    } finally {
      grpc.close();
    }
  };
  const named = (address: string): Resolve => {
    return () => Promise.resolve([{ address, family: 4 }]);
  };

  it('is not made to an address that is not allowed', async () => {
    const error = await listed(`http://127.0.0.1:${port}`, new Reach({ allowed: ['10.0.0.0/8'], own: [] }));
    expect(error).toMatchObject({ code: 'AddressNotAllowed', method: 'GRPC', outcomeUnknown: false });
    expect(connections).toBe(0);
  });

  it('is not made to a name that resolves to such an address', async () => {
    const reach = new Reach({ allowed: ['10.0.0.0/8'], own: [] }, named('127.0.0.1'));
    const error = await listed(`http://s0.example:${port}`, reach);
    expect(error).toMatchObject({ code: 'AddressNotAllowed', outcomeUnknown: false });
    expect((error as Error).message).toContain('127.0.0.1');
    expect(connections).toBe(0);
  });

  it('is made to a name that resolves to an allowed address', async () => {
    const reach = new Reach({ allowed: ['127.0.0.1'], own: [] }, named('127.0.0.1'));
    expect(await listed(`http://s0.example:${port}`, reach)).toMatchObject({ code: 'Unreachable' });
    expect(connections).toBe(1);
  });
});
