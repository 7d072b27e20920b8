import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../src/config';
import { SETTINGS } from '../../src/config/settings';
import { SECRET, settingsUnderTest } from '../support/settings-under-test';

const settings = settingsUnderTest();
const { load, toml, complaint } = settings;

describe('a bad setting', () => {
  it.each([
    ['QUIVER_REST_ADDR', '6333'],
    ['QUIVER_REST_ADDR', 'host:65536'],
    ['QUIVER_CLUSTER_SHARDS', 'http://a,,http://b'],
    ['QUIVER_CLUSTER_SHARDS', 'ftp://a'],
    ['QUIVER_CLUSTER_SHARDS', 'http://a,http://A/'],
    ['QUIVER_INSECURE', 'maybe'],
    ['COORDINATOR_CLUSTER', 'a/b'],
    ['COORDINATOR_CLUSTER', 'x'.repeat(65)],
    ['COORDINATOR_ROUTER_URLS', 'router'],
    ['COORDINATOR_GRACE_MS', '-1'],
    ['COORDINATOR_GRACE_MS', '1.5'],
    ['COORDINATOR_GRACE_MS', '3s'],
    ['COORDINATOR_SETTLE_MS', '60001'],
    ['COORDINATOR_ATTEMPT_MS', '4999'],
    ['QUIVER_AUTOSCALE_ENABLED', 'maybe'],
    ['QUIVER_AUTOSCALE_HIGH_WATER_POINTS', '-1'],
    ['QUIVER_AUTOSCALE_STANDBY_URLS', 'http://a,http://A/'],
    ['QUIVER_AUTOSCALE_INTERVAL_SECS', '0'],
    ['QUIVER_AUTOSCALE_COOLDOWN_SECS', '5m'],
    ['QUIVER_AUTOSCALE_MAX_SHARDS', '1025'],
    ['COORDINATOR_AUTOSCALE_SUSTAIN_EVALUATIONS', '0'],
    ['COORDINATOR_TEMPORAL_PORT', '65536'],
    ['COORDINATOR_WEB_UI_URL', 'ui'],
    ['COORDINATOR_METRICS_OPEN', 'maybe'],
    ['COORDINATOR_METRICS_ADDR', '9464'],
    ['COORDINATOR_LOG_LEVEL', 'loud'],
  ] as const)('%s=%s is one line that begins with its name and says what is expected and what to do', (name, value) => {
    const message = complaint({ [name]: value });
    expect(message.startsWith(`${name}: expected ${SETTINGS[name].expected}, got `)).toBe(true);
    expect(message.endsWith(`: ${SETTINGS[name].advice}`)).toBe(true);
  });

  it.each([
    ['no id', 'http://c'],
    ['an id that is no shard', '2=http://c'],
    ['a URL that is another shard already', '0=http://b'],
    ['no URL', '0='],
  ])('QUIVER_CLUSTER_REPLICAS with %s is refused', (_what, value) => {
    const environment = { QUIVER_CLUSTER_SHARDS: 'http://a,http://b', QUIVER_CLUSTER_REPLICAS: value };
    expect(complaint(environment)).toMatch(/^QUIVER_CLUSTER_REPLICAS: expected a list of <shard id>=<url>/);
  });

  it.each([
    ['QUIVER_CLUSTER_SHARDS', 1024],
    ['QUIVER_AUTOSCALE_STANDBY_URLS', 128],
  ] as const)('%s takes %i URLs, and no more', (name, most) => {
    const urls = (count: number): string => Array.from({ length: count }, (_, index) => `http://s${index}`).join(',');
    expect(() => load({ [name]: urls(most) })).not.toThrow();
    expect(complaint({ [name]: urls(most + 1) })).toBe(
      `${name}: expected ${SETTINGS[name].expected}, got ${most + 1} of them, and ${most} is the most: ${SETTINGS[name].advice}`,
    );
  });

  it('never shows the password in a URL', () => {
    expect(complaint({ QUIVER_CLUSTER_SHARDS: `http://u:${SECRET}@a` })).toMatch(/user information/);
    expect(complaint({ COORDINATOR_ROUTER_URLS: `http://u:${SECRET}@a` })).toMatch(/user information/);
  });

  it('never shows the shard key', () => {
    expect(complaint({ QUIVER_CLUSTER_SHARD_KEY: `${SECRET} ` + SECRET })).toMatch(/^QUIVER_CLUSTER_SHARD_KEY: /);
  });

  it.each([
    ['a key twice', `${SECRET},${SECRET}`],
    ['an empty key', `${SECRET},,b`],
    ['a key with a blank in it', `${SECRET} ${SECRET}`],
    ['a structured key', `{secret="${SECRET}"}`],
  ])('QUIVER_API_KEYS with %s is refused without showing it', (_what, value) => {
    expect(complaint({ QUIVER_API_KEYS: value })).toMatch(/^QUIVER_API_KEYS: expected /);
  });

  it.each([
    ['an unknown role', `{ secret = "${SECRET}", role = "root" }`],
    ['no role', `{ secret = "${SECRET}" }`],
    ['no secret', '{ role = "read" }'],
    ['an empty secret', '{ secret = " ", role = "read" }'],
    ['an id with a blank', `{ secret = "${SECRET}", role = "read", id = "a b" }`],
    ['a number', '7'],
  ])('api_keys with %s is refused without showing it', (_what, item) => {
    expect(complaint(toml(`api_keys = [${item}]`))).toMatch(/^api_keys \(QUIVER_API_KEYS\) in .*: expected /);
  });

  it('is to have neither keys nor QUIVER_INSECURE=true', () => {
    expect(complaint({ QUIVER_INSECURE: '' })).toMatch(
      /^QUIVER_API_KEYS: expected .* got none: set it, or set QUIVER_INSECURE=true/,
    );
    expect(complaint({ QUIVER_INSECURE: '', QUIVER_API_KEYS: '[]' })).toMatch(/^QUIVER_API_KEYS: /);
    // A worker listens on nothing, unless it has a page of metrics.
    const worker = { QUIVER_INSECURE: '', TEMPORAL_CONFIG_FILE: join(settings.dir, 'none.toml') };
    expect(loadConfig(worker, { hasApi: false }).apiKeys).toEqual([]);
    const withPage = { ...worker, COORDINATOR_METRICS_ADDR: '127.0.0.1:9100' };
    expect(() => loadConfig(withPage, { hasApi: false })).toThrow(/^QUIVER_API_KEYS: /);
    const isOpen = { ...withPage, COORDINATOR_METRICS_OPEN: 'true' };
    expect(loadConfig(isOpen, { hasApi: false }).apiKeys).toEqual([]);
  });

  it('is a mistyped COORDINATOR_ name, and the error lists the known ones', () => {
    const message = complaint({ COORDINATOR_GRACE: '1' });
    expect(message).toMatch(/^COORDINATOR_GRACE: /);
    expect(message).toContain('COORDINATOR_GRACE_MS');
  });

  it.each([
    ['COORDINATOR_SERVICE_HOST', '10.0.0.1'],
    ['COORDINATOR_SERVICE_PORT', '6333'],
    ['COORDINATOR_SERVICE_PORT_HTTP', '6333'],
    ['COORDINATOR_PORT', 'tcp://10.0.0.1:6333'],
    ['COORDINATOR_PORT_6333_TCP', 'tcp://10.0.0.1:6333'],
    ['COORDINATOR_PORT_6333_TCP_ADDR', '10.0.0.1'],
    ['COORDINATOR_PORT_6333_UDP_PROTO', 'udp'],
    ['COORDINATOR_API_SERVICE_HOST', '10.0.0.1'],
    ['COORDINATOR_API_SERVICE_PORT', '6333'],
    ['COORDINATOR_API_SERVICE_PORT_HTTP_ALT', '6333'],
    ['COORDINATOR_API_PORT', 'tcp://10.0.0.1:6333'],
    ['COORDINATOR_API_V2_PORT_6333_TCP_PORT', '6333'],
    ['COORDINATOR_TEMPORAL_SERVICE_PORT', '7233'],
    ['COORDINATOR_TEMPORAL_PORT', 'tcp://10.0.0.1:7233'],
    ['COORDINATOR_TEMPORAL_UI_PORT', 'tcp://10.0.0.1:8233'],
  ])('is not %s=%s, which Kubernetes makes of a service', (name, value) => {
    const config = load({ [name]: value });
    expect(config.ignoredNames).toEqual([name]);
    expect(config.embedded).toMatchObject({ port: 7233, uiPort: 8233 });
  });

  it.each([
    ['COORDINATOR_API_PORT', '6333'],
    ['COORDINATOR_SERVICE', 'x'],
    ['COORDINATOR_API_SERVICE_HOSTS', 'x'],
    ['COORDINATOR_API_KEY', 'tcp://10.0.0.1:6333'],
  ])('is %s=%s, which only looks like a variable of a service', (name, value) => {
    expect(complaint({ [name]: value })).toContain(`${name}: expected a known setting`);
  });

  it.each([
    'http://s0',
    '10.0.0.0/33',
    '10.0.0.256',
    '10.0.0',
    'fd00::/129',
    'fd00::1::2',
    's*.svc',
    '*.*.svc',
    's0:6333',
    'a b',
    '-s0',
    '10.0.0.0/8/8',
  ])('is %s in COORDINATOR_ALLOWED_HOSTS', (item) => {
    expect(complaint({ COORDINATOR_ALLOWED_HOSTS: `s0,${item}` })).toMatch(/^COORDINATOR_ALLOWED_HOSTS: expected /);
  });

  it('is not any form of a host that COORDINATOR_ALLOWED_HOSTS takes', () => {
    const items = [
      '*',
      '*.quiver.svc',
      'S0',
      's0.svc.',
      '10.0.0.0/8',
      '10.0.0.1',
      'fd00::/8',
      '::ffff:10.0.0.1',
      '_a.b',
    ];
    expect(load({ COORDINATOR_ALLOWED_HOSTS: items.join(', ') }).allowedHosts).toEqual(items);
  });

  it.each(['a,,b', 'a b', 'a,', 'schlüssel'])('is %j in QUIVER_CLUSTER_SHARD_KEY, told without showing it', (keys) => {
    expect(complaint({ QUIVER_CLUSTER_SHARD_KEY: `${SECRET},${keys}` })).toMatch(
      /^QUIVER_CLUSTER_SHARD_KEY: expected /,
    );
  });

  it('is not a list of keys, in text or in quiver.toml', () => {
    expect(load({ QUIVER_CLUSTER_SHARD_KEY: 'old, new,old' }).shardKeys.given).toEqual(['old', 'new']);
    expect(load(toml('cluster_shard_key = ["old", "new"]')).shardKeys.given).toEqual(['old', 'new']);
  });

  describe.each(['COORDINATOR_SHARD_KEY_FILE', 'COORDINATOR_API_KEYS_FILE'])('in %s', (name) => {
    it('is a file that is absent, empty or holds something else than keys', () => {
      expect(complaint({ [name]: join(settings.dir, 'absent') })).toMatch(/ENOENT/);
      const path = join(settings.dir, 'keys');
      for (const content of ['', ' \n\n', `${SECRET}\nwith a blank`, `${SECRET} x`]) {
        writeFileSync(path, content);
        expect(complaint({ [name]: path })).toContain(`${name}: expected the path of a readable file`);
      }
    });
  });

  it('is not to have API keys in a file alone', () => {
    const path = join(settings.dir, 'keys');
    writeFileSync(path, `${SECRET}\n`);
    const config = load({ QUIVER_INSECURE: '', COORDINATOR_API_KEYS_FILE: path, COORDINATOR_SHARD_KEY_FILE: path });
    expect(config).toMatchObject({ apiKeys: [], apiKeysFile: path, shardKeys: { given: [], file: path } });
    expect(JSON.stringify(config)).not.toContain(SECRET);
  });

  it('is an address in the place of a number, where no service can have made it', () => {
    expect(complaint({ COORDINATOR_GRACE_MS: 'tcp://10.0.0.1:1' })).toMatch(/^COORDINATOR_GRACE_MS: /);
    expect(complaint({ COORDINATOR_TEMPORAL_PORT: '10.0.0.1:7233' })).toMatch(/^COORDINATOR_TEMPORAL_PORT: /);
  });

  it('is a Temporal configuration that cannot be read, told without quoting it', () => {
    const path = join(settings.dir, 'temporal.toml');
    writeFileSync(path, `[profile.default]\napi_key = "${SECRET}\n`);
    expect(complaint({ TEMPORAL_CONFIG_FILE: path })).toMatch(/^TEMPORAL_\*: expected /);
  });
});
