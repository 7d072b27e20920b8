import { join } from 'node:path';
import { keyDigest } from '../../src/config';
import { DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { DEFAULT_TIMINGS } from '../../src/domain/limits';
import { NO_CLUSTER_LIMITS } from '../../src/domain/work-limits';
import { SECRET, settingsUnderTest } from '../support/settings-under-test';

const settings = settingsUnderTest();
const { load, toml, complaint } = settings;

describe('loadConfig', () => {
  it('gives every setting its documented default when nothing but QUIVER_INSECURE is set', () => {
    expect(load({})).toEqual({
      restAddress: { host: '127.0.0.1', port: 6333 },
      listenerLimits: { connectionsMax: 2_000, failedKeysPerMin: 60 },
      mapMaxAgeMs: 300,
      hooksKey: null,
      buildId: null,
      cluster: 'default',
      seedShards: [],
      stateFile: null,
      shardKeys: { given: [], file: null },
      apiKeysFile: null,
      apiKeys: [],
      routerUrls: [],
      routersFailClosed: false,
      scanStopMaxMs: 30_000,
      spoolFolder: join('.data', 'spool'),
      timings: DEFAULT_TIMINGS,
      autoscale: { policy: DEFAULT_POLICY, standbys: [] },
      limits: NO_CLUSTER_LIMITS,
      metrics: { isOpen: false, address: null, showsCore: true },
      logLevel: 'info',
      tracing: 'off',
      temporal: { address: null, namespace: 'default', connection: expect.anything() as unknown },
      embedded: { dataDir: './.data', port: 7233, uiPort: 8233 },
      webUiUrl: null,
      publishedFile: '.data/published-default.json',
      grpcPortOffset: 1,
      allowedHosts: [],
      ignoredNames: [],
    });
  });

  it('reads the limits of a cluster from the environment and from quiver.toml, where 0 is no limit', () => {
    const environment = {
      COORDINATOR_LIMITS_MAX_BYTES_PER_S: '1000000000',
      COORDINATOR_LIMITS_MAX_ROWS_PER_S: '0',
      COORDINATOR_LIMITS_DELETE_SHARE: ' .25 ',
      COORDINATOR_LIMITS_ACTIVE_FROM: '22:00',
      COORDINATOR_LIMITS_ACTIVE_TO: '05:30',
    };
    const limits = {
      maxBytesPerS: 1_000_000_000,
      maxRowsPerS: null,
      deleteShare: 0.25,
      activeFrom: '22:00',
      activeTo: '05:30',
    };
    expect(load(environment).limits).toEqual(limits);
    const text = Object.entries(environment).map(([name, value]) => {
      return `${name.toLowerCase()} = ${value.includes(':') ? `"${value}"` : value.trim().replace(/^\./, '0.')}`;
    });
    expect(load(toml(text.join('\n'))).limits).toEqual(limits);
    expect(load({ COORDINATOR_LIMITS_DELETE_SHARE: '1' }).limits.deleteShare).toBe(1);
  });

  it.each([
    [{ COORDINATOR_LIMITS_MAX_ROWS_PER_S: '-1' }, /^COORDINATOR_LIMITS_MAX_ROWS_PER_S: expected a whole number/],
    [{ COORDINATOR_LIMITS_DELETE_SHARE: '0' }, /^COORDINATOR_LIMITS_DELETE_SHARE: expected a number above 0/],
    [{ COORDINATOR_LIMITS_DELETE_SHARE: '1.1' }, /^COORDINATOR_LIMITS_DELETE_SHARE: /],
    [{ COORDINATOR_LIMITS_DELETE_SHARE: 'half' }, /^COORDINATOR_LIMITS_DELETE_SHARE: /],
    [{ COORDINATOR_LIMITS_ACTIVE_FROM: '22:00' }, /^COORDINATOR_LIMITS_ACTIVE_TO: .* got nothing: give both/],
    [{ COORDINATOR_LIMITS_ACTIVE_TO: '22:00' }, /^COORDINATOR_LIMITS_ACTIVE_FROM: .* got nothing: give both/],
    [
      { COORDINATOR_LIMITS_ACTIVE_FROM: '24:00', COORDINATOR_LIMITS_ACTIVE_TO: '01:00' },
      /^COORDINATOR_LIMITS_ACTIVE_FROM/,
    ],
    [
      { COORDINATOR_LIMITS_ACTIVE_FROM: '01:00', COORDINATOR_LIMITS_ACTIVE_TO: '01:00' },
      /^COORDINATOR_LIMITS_ACTIVE_TO: .* got the same one/,
    ],
  ])('refuses the limits %j', (environment, words) => {
    expect(complaint(environment as Record<string, string>)).toMatch(words);
  });

  it('lets an API listen beyond the machine without keys only when QUIVER_INSECURE says so', () => {
    for (const host of ['0.0.0.0', '[::]', '10.0.0.1', 'coordinator.svc', '127.0.0.1']) {
      const environment = { QUIVER_REST_ADDR: `${host}:6333` };
      expect(complaint({ ...environment, QUIVER_INSECURE: '' })).toMatch(/QUIVER_INSECURE=true/);
      expect(complaint({ ...environment, QUIVER_INSECURE: 'false' })).toMatch(/QUIVER_INSECURE=true/);
      expect(load({ ...environment, QUIVER_INSECURE: '', QUIVER_API_KEYS: 'k' }).apiKeys).toHaveLength(1);
      expect(load(environment).restAddress.port).toBe(6333);
    }
  });

  it('keeps the last published map in the file that is named, and in none when that is asked for', () => {
    expect(load({ COORDINATOR_PUBLISHED_FILE: '/var/lib/p.json' }).publishedFile).toBe('/var/lib/p.json');
    expect(load({ COORDINATOR_PUBLISHED_FILE: 'none' }).publishedFile).toBeNull();
  });

  it('reads every setting from the environment', () => {
    const config = load({
      QUIVER_REST_ADDR: '0.0.0.0:7000',
      QUIVER_CLUSTER_SHARDS: '[http://S0:6333/,http://s1]',
      QUIVER_CLUSTER_REPLICAS: '1=http://s1b:6333,1=http://s1c:6333',
      QUIVER_CLUSTER_SHARD_KEY: SECRET,
      QUIVER_API_KEYS: 'a,b',
      QUIVER_INSECURE: 'false',
      QUIVER_COORDINATOR_STATE: 'state.json',
      COORDINATOR_CLUSTER: 'prod.eu-1',
      COORDINATOR_ROUTER_URLS: 'http://r0,http://r1',
      COORDINATOR_ROUTERS_FAIL_CLOSED: 'true',
      COORDINATOR_DATA_DIR: 'data',
      COORDINATOR_GRACE_MS: '1',
      COORDINATOR_ROUTER_PATIENCE_MS: '2',
      COORDINATOR_IN_FLIGHT_MS: '6',
      COORDINATOR_SETTLE_MS: '3',
      COORDINATOR_PATIENCE_MS: '4',
      COORDINATOR_WARM_UP_MS: '0',
      COORDINATOR_ATTEMPT_MS: '5000',
      QUIVER_AUTOSCALE_ENABLED: 'true',
      QUIVER_AUTOSCALE_HIGH_WATER_POINTS: '1000',
      QUIVER_AUTOSCALE_STANDBY_URLS: '[http://S2:6333/,http://s3]',
      QUIVER_AUTOSCALE_INTERVAL_SECS: '7',
      QUIVER_AUTOSCALE_COOLDOWN_SECS: '8',
      QUIVER_AUTOSCALE_MAX_SHARDS: '9',
      COORDINATOR_AUTOSCALE_SUSTAIN_EVALUATIONS: '2',
      COORDINATOR_TEMPORAL_PORT: '0',
      COORDINATOR_TEMPORAL_UI_PORT: '9',
      COORDINATOR_WEB_UI_URL: 'http://ui:8080/',
      COORDINATOR_METRICS_OPEN: 'true',
      COORDINATOR_METRICS_ADDR: '[::]:9464',
      COORDINATOR_METRICS_CORE: 'false',
      COORDINATOR_LOG_LEVEL: 'debug',
      TEMPORAL_ADDRESS: 'temporal:7233',
      TEMPORAL_NAMESPACE: 'ns',
    });
    expect(config).toMatchObject({
      restAddress: { host: '0.0.0.0', port: 7000 },
      metrics: { isOpen: true, address: { host: '::', port: 9464 }, showsCore: false },
      seedShards: [
        { primary_url: 'http://s0:6333', replica_urls: [] },
        { primary_url: 'http://s1', replica_urls: ['http://s1b:6333', 'http://s1c:6333'] },
      ],
      shardKeys: { given: [SECRET], file: null },
      stateFile: 'state.json',
      cluster: 'prod.eu-1',
      routerUrls: ['http://r0', 'http://r1'],
      routersFailClosed: true,
      timings: {
        graceMs: 1,
        routerPatienceMs: 2,
        inFlightMs: 6,
        settleMs: 3,
        patienceMs: 4,
        warmUpMs: 0,
        attemptMs: 5000,
      },
      autoscale: {
        policy: {
          enabled: true,
          highWaterPoints: 1000,
          intervalSecs: 7,
          cooldownSecs: 8,
          maxShards: 9,
          sustainEvaluations: 2,
        },
        standbys: [
          { primary_url: 'http://s2:6333', replica_urls: [] },
          { primary_url: 'http://s3', replica_urls: [] },
        ],
      },
      logLevel: 'debug',
      temporal: { address: 'temporal:7233', namespace: 'ns' },
      embedded: { dataDir: 'data', port: 0, uiPort: 9 },
      webUiUrl: 'http://ui:8080',
      publishedFile: 'data/published-prod.eu-1.json',
    });
    expect(config.apiKeys).toEqual([
      { id: 'key-1', role: 'admin', digest: keyDigest('a') },
      { id: 'key-2', role: 'admin', digest: keyDigest('b') },
    ]);
  });

  it.each(['[http://a,http://b]', 'http://a,http://b', ' [ "http://a" , \'http://b\' ] '])(
    'takes the list of shards written as %s',
    (text) => {
      expect(load({ QUIVER_CLUSTER_SHARDS: text }).seedShards.map((shard) => shard.primary_url)).toEqual([
        'http://a',
        'http://b',
      ]);
    },
  );

  it('lets the folder of the installed programs be named, which is read where they are installed', () => {
    expect(load({ COORDINATOR_CACHE_DIR: settings.dir })).toEqual(load({}));
  });

  it('listens on an IPv6 address given in brackets', () => {
    expect(load({ QUIVER_REST_ADDR: '[::1]:6333' }).restAddress).toEqual({ host: '::1', port: 6333 });
  });

  it('keeps no API key in clear', () => {
    expect(JSON.stringify(load({ QUIVER_API_KEYS: SECRET }).apiKeys)).not.toContain(SECRET);
  });
});

describe('quiver.toml', () => {
  it('gives the settings by the same names in lower case, and keys with their roles', () => {
    const config = load({
      ...toml(`
        insecure = false
        rest_addr = "0.0.0.0:1"
        cluster_shards = ["http://a", "http://b"]
        cluster_replicas = ["0=http://c"]
        cluster_shard_key = "${SECRET}"
        api_keys = ["bare", { secret = "r", role = "read", id = "grafana" }, { secret = "w", role = "write" }]
        coordinator_state = "old.json"
        coordinator_grace_ms = 7
        data_dir = "a setting of Quiver's that is not ours"
        [autoscale]
        enabled = true
        high_water_points = 500
        standby_urls = ["http://c2"]
        sustain_evaluations = 3
      `),
      QUIVER_INSECURE: '',
    });
    expect(config).toMatchObject({
      restAddress: { host: '0.0.0.0', port: 1 },
      seedShards: [{ primary_url: 'http://a', replica_urls: ['http://c'] }, { primary_url: 'http://b' }],
      shardKeys: { given: [SECRET], file: null },
      stateFile: 'old.json',
      timings: { graceMs: 7 },
      autoscale: {
        policy: { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 500, sustainEvaluations: 3 },
        standbys: [{ primary_url: 'http://c2', replica_urls: [] }],
      },
    });
    expect(config.apiKeys.map(({ id, role }) => [id, role])).toEqual([
      ['key-1', 'admin'],
      ['grafana', 'read'],
      ['key-3', 'write'],
    ]);
  });

  it('yields to the environment', () => {
    const file = toml('coordinator_grace_ms = 7\ncoordinator_cluster = "from-file"');
    const config = load({ ...file, COORDINATOR_GRACE_MS: '8' });
    expect([config.timings.graceMs, config.cluster]).toEqual([8, 'from-file']);
  });

  it('yields to the environment key by key in its table [autoscale]', () => {
    const file = toml('[autoscale]\ninterval_secs = 5\ncooldown_secs = 6');
    const { policy } = load({ ...file, QUIVER_AUTOSCALE_COOLDOWN_SECS: '7' }).autoscale;
    expect([policy.intervalSecs, policy.cooldownSecs]).toEqual([5, 7]);
  });

  it.each([
    ['a mistyped key in the table [autoscale]', '[autoscale]\nhigh_water = 5', /^autoscale\.high_water in /],
    ['something else than a table', 'autoscale = true', /^autoscale in /],
    ['its key of the table outside of it', 'coordinator_autoscale_sustain_evaluations = 2', /^coordinator_autoscale_/],
  ])('is refused with %s', (_what, text, begin) => {
    const message = complaint(toml(text));
    expect(message).toMatch(begin);
    expect(message).toContain('autoscale.high_water_points');
  });

  it('names the key with its table in the error about a setting that stands there', () => {
    const message = complaint(toml('[autoscale]\ninterval_secs = 0'));
    expect(message).toMatch(
      /^autoscale\.interval_secs \(QUIVER_AUTOSCALE_INTERVAL_SECS\) in .* from 1 to 86400, got 0/,
    );
  });

  it('is found as ./quiver.toml without QUIVER_CONFIG', () => {
    toml('coordinator_cluster = "here"');
    const before = process.cwd();
    process.chdir(settings.dir);
    try {
      expect(load({}).cluster).toBe('here');
    } finally {
      process.chdir(before);
    }
  });

  it('is an error when QUIVER_CONFIG names a file that is not there', () => {
    expect(complaint({ QUIVER_CONFIG: join(settings.dir, 'absent.toml') })).toMatch(
      /^QUIVER_CONFIG: expected .* \(ENOENT\)/,
    );
  });

  it('says where a mistake is without quoting the file, which holds keys', () => {
    const message = complaint(toml(`cluster_shard_key = "${SECRET}\nx = 1`));
    expect(message).toMatch(/line 1/);
  });

  it('names the key and the file in the error about a setting that stands there', () => {
    const message = complaint(toml('coordinator_grace_ms = "soon"'));
    expect(message).toMatch(/^coordinator_grace_ms \(COORDINATOR_GRACE_MS\) in .*quiver\.toml: expected .* got "soon"/);
  });

  it('is refused with a mistyped coordinator_ key, and not for keys of Quiver that look like ours', () => {
    expect(complaint(toml('coordinator_gracems = 1'))).toMatch(/^coordinator_gracems in .*coordinator_grace_ms/);
    expect(load(toml('coordinator = true\ncoordinator_url = "http://c"')).cluster).toBe('default');
  });
});
