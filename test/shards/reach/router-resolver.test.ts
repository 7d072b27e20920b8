import { ROUTERS_FOUND_MAX } from '../../../src/domain/limits';
import { AddressNotAllowedError, Reach, type Resolve } from '../../../src/shards/reach/reach';
import { RouterResolver, type ResolveSrv } from '../../../src/shards/reach/router-resolver';

/** A DNS of these names. A name that it does not have is not found. */
function dns(names: Record<string, readonly string[]>): Resolve {
  return (host) => {
    const found = names[host];
    if (found === undefined) return Promise.reject(new Error(`getaddrinfo ENOTFOUND ${host}`));
    return Promise.resolve(found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
  };
}

function resolver(names: Record<string, readonly string[]>, { allowed = [] as string[], srv = noSrv } = {}) {
  const reach = new Reach({ allowed, own: [] }, dns(names));
  return { reach, resolver: new RouterResolver(reach, srv) };
}

const noSrv: ResolveSrv = (name) => Promise.reject(new Error(`querySrv ENODATA ${name}`));
const NAME = 'dns+http://routers.svc:6333';

describe('RouterResolver', () => {
  it('gives a URL as it is, without asking for its name', async () => {
    expect(await resolver({}).resolver.find(['http://r0:6333'])).toEqual({
      routers: [{ url: 'http://r0:6333', entry: 'http://r0:6333' }],
      unknown: [],
    });
  });

  it('gives each address of a name, anew at each call', async () => {
    const names: Record<string, string[]> = { 'routers.svc': ['10.0.0.1', 'fd00::2'] };
    const { resolver: it } = resolver(names);
    const urls = async () => (await it.find([NAME])).routers.map(({ url }) => url);
    expect(await urls()).toEqual(['http://10.0.0.1:6333', 'http://[fd00::2]:6333']);
    names['routers.svc'] = ['10.0.0.3'];
    expect(await urls()).toEqual(['http://10.0.0.3:6333']);
  });

  it('gives each address of each target of SRV records, with its port', async () => {
    const srv: ResolveSrv = (name) =>
      Promise.resolve(name === '_rest._tcp.r' ? [{ name: 'a', port: 1 }, { name: 'b', port: 2 }] : []); // prettier-ignore
    const { resolver: it } = resolver({ a: ['10.0.0.1'], b: ['10.0.0.2', '10.0.0.3'] }, { srv });
    const { routers } = await it.find(['dnssrv+http://_rest._tcp.r']);
    expect(routers.map(({ url }) => url)).toEqual(['http://10.0.0.1:1', 'http://10.0.0.2:2', 'http://10.0.0.3:2']);
    expect((await it.find(['dnssrv+http://other'])).unknown).toEqual([
      { entry: 'dnssrv+http://other', reason: 'its name has no address' },
    ]);
  });

  it('has no router twice, and names the first entry that has it', async () => {
    const { resolver: it } = resolver({ 'routers.svc': ['10.0.0.1', '10.0.0.1'] });
    const first = 'http://10.0.0.1:6333';
    expect((await it.find([first, NAME])).routers).toEqual([{ url: first, entry: first }]);
  });

  it.each([
    ['is not found', {}, /ENOTFOUND/],
    ['has no address', { 'routers.svc': [] }, /no address/],
    ['has only addresses that are never called', { 'routers.svc': ['169.254.169.254'] }, /never called/],
  ])('does not take a name that %s for no routers', async (_what, names, reason) => {
    const { routers, unknown } = await resolver(names).resolver.find([NAME]);
    expect(routers).toEqual([]);
    expect(unknown).toEqual([{ entry: NAME, reason: expect.stringMatching(reason) as string }]);
  });

  it('takes an entry for unknown when one of the targets of its records is', async () => {
    const srv: ResolveSrv = () => Promise.resolve([{ name: 'a', port: 1 }, { name: 'gone', port: 1 }]); // prettier-ignore
    const { unknown } = await resolver({ a: ['10.0.0.1'] }, { srv }).resolver.find(['dnssrv+http://r']);
    expect(unknown).toMatchObject([{ entry: 'dnssrv+http://r' }]);
  });

  it('says when a list comes to too many routers, and gives no part of them for the whole', async () => {
    const addresses = Array.from({ length: ROUTERS_FOUND_MAX + 1 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
    const { routers, unknown } = await resolver({ 'routers.svc': addresses }).resolver.find([NAME]);
    expect(routers).toHaveLength(ROUTERS_FOUND_MAX);
    expect(unknown).toMatchObject([{ entry: NAME }]);
  });

  describe('a name of which COORDINATOR_ALLOWED_HOSTS allows only some addresses', () => {
    const names = { 'routers.svc': ['10.0.0.1', '192.168.0.1'], other: ['10.0.0.2'] };
    const srv: ResolveSrv = () => Promise.resolve([{ name: 'routers.svc', port: 1 }, { name: 'other', port: 2 }]); // prettier-ignore

    it.each([
      [NAME, ['http://10.0.0.1:6333']],
      ['dnssrv+http://r', ['http://10.0.0.1:1', 'http://10.0.0.2:2']],
    ])(
      'gives those, and takes the routers of %s for unknown: nobody can ask the others (INV-8)',
      async (entry, urls) => {
        const { resolver: it } = resolver(names, { allowed: ['10.0.0.0/8'], srv });
        const { routers, unknown } = await it.find([entry, 'http://r9:1']);
        expect(routers.map(({ url }) => url)).toEqual([...urls, 'http://r9:1']);
        const reason = expect.stringMatching(
          /routers\.svc \(192\.168\.0\.1\) is not one that .* allows: allow it/,
        ) as string;
        expect(unknown).toEqual([{ entry, reason }]);
      },
    );

    it('gives none where all are refused', async () => {
      const { resolver: it } = resolver(names, { allowed: ['172.16.0.0/12'] });
      expect(await it.find([NAME])).toMatchObject({ routers: [], unknown: [{ entry: NAME }] });
    });

    it('counts what it does not name', async () => {
      const many = { 'routers.svc': ['10.0.0.1', '192.168.0.1', '192.168.0.2', '192.168.0.2'] };
      const { resolver: it } = resolver(many, { allowed: ['10.0.0.0/8'] });
      expect((await it.find([NAME])).unknown[0]?.reason).toContain('(and 1 more)');
    });
  });

  it('lets an address be called whose name is allowed, and no other address', async () => {
    const { resolver: it, reach } = resolver({ 'routers.svc': ['10.0.0.1'] }, { allowed: ['*.svc'] });
    expect(() => reach.requireLiteral(new URL('http://10.0.0.1:6333'))).toThrow(AddressNotAllowedError);
    await it.find([NAME]);
    expect(() => reach.requireLiteral(new URL('http://10.0.0.1:6333'))).not.toThrow();
    expect(() => reach.requireLiteral(new URL('http://10.0.0.2:6333'))).toThrow(AddressNotAllowedError);
  });

  it('tells the addresses behind a URL, and none where nobody knows any', async () => {
    const { resolver: it } = resolver({ r0: ['10.0.0.9'] });
    expect(await it.addressesOf('http://r0:6333')).toEqual(['10.0.0.9']);
    expect(await it.addressesOf('http://10.0.0.7:6333')).toEqual(['10.0.0.7']);
    expect(await it.addressesOf('http://gone:6333')).toEqual([]);
  });
});
