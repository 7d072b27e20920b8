import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config';
import { SETTINGS } from '../../src/config/settings';
import { CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE } from '../../src/contract/search-attributes';
import { compose, composeService as service } from '../support/compose';

const root = join(__dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const { services, volumes } = compose();
const each = Object.entries(services);
const coordinators = ['api', 'worker'];

describe('docker-compose.yml', () => {
  it('runs PostgreSQL, the schema step, Temporal, the namespace step, the Web UI, one api and two workers', () => {
    expect(Object.keys(services).sort()).toEqual(
      ['api', 'postgresql', 'temporal', 'temporal-namespace', 'temporal-schema', 'temporal-ui', 'worker'].sort(),
    );
    expect(services['api']?.deploy?.replicas ?? 1).toBe(1);
    expect(services['worker']?.deploy?.replicas).toBe(2);
  });

  it.each(each)('pins the image of %s to a version, and uses no deprecated one', (_name, { image }) => {
    expect(image).toMatch(/^[a-z0-9/-]+:\d+\.\d+(\.\d+)?(-[a-z0-9]+)?$/);
    expect(image).not.toContain('auto-setup');
  });

  it('takes the schema from the version of Temporal that runs', () => {
    const version = service('temporal').image.split(':')[1];
    expect(service('temporal-schema').image).toBe(`temporalio/admin-tools:${version}`);
    expect(service('temporal-namespace').image).toBe(`temporalio/admin-tools:${version}`);
  });

  it.each(each)(
    'lets %s wait only for services that exist and can reach what is waited for',
    (_name, { depends_on }) => {
      for (const [name, { condition }] of Object.entries(depends_on ?? {})) {
        const dependency = services[name];
        expect(dependency).toBeDefined();
        if (condition === 'service_healthy') expect(dependency?.healthcheck?.test).toBeDefined();
        // A step that is started again after its success would never be over.
        else if (condition === 'service_completed_successfully') expect(dependency?.restart).toMatch(/^on-failure/);
        else throw new Error(`expected a condition that says something, got ${condition}`);
      }
    },
  );

  it('starts the schema before Temporal, and Temporal and its namespace before the coordinator', () => {
    const conditions = (name: string): Record<string, string> =>
      Object.fromEntries(Object.entries(service(name).depends_on ?? {}).map(([key, value]) => [key, value.condition]));
    expect(conditions('temporal-schema')).toEqual({ postgresql: 'service_healthy' });
    expect(conditions('temporal')).toMatchObject({ 'temporal-schema': 'service_completed_successfully' });
    for (const name of coordinators) {
      expect(conditions(name)).toEqual({
        temporal: 'service_healthy',
        'temporal-namespace': 'service_completed_successfully',
      });
    }
  });

  it.each(['postgresql', 'temporal', 'api'])('checks the health of %s', (name) => {
    expect(service(name).healthcheck?.test?.[0]).toMatch(/^CMD(-SHELL)?$/);
  });

  it.each(each)(
    'publishes the ports of %s on the loopback address only, because the default keys are known',
    (_name, { ports }) => {
      for (const port of ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
    },
  );

  it.each(each)(
    'mounts into %s only volumes that are declared and folders that are in the repository',
    (_name, { volumes: mounts }) => {
      for (const mount of mounts ?? []) {
        const source = mount.split(':')[0] ?? '';
        if (source.startsWith('./')) expect(existsSync(join(root, source))).toBe(true);
        else expect(Object.keys(volumes)).toContain(source);
      }
    },
  );

  it('keeps the database in a named volume', () => {
    expect(service('postgresql').volumes).toContain('postgresql-data:/var/lib/postgresql/data');
  });

  it.each(coordinators)('gives %s no setting that the coordinator does not know', (name) => {
    const ofTemporal = ['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE'];
    const ofTracing = ['ENDPOINT', 'HEADERS'].map((name) => `OTEL_EXPORTER_OTLP_${name}`);
    const ofOtel = ['OTEL_SERVICE_NAME', 'OTEL_RESOURCE_ATTRIBUTES', ...ofTracing];
    const known = [...Object.keys(SETTINGS), ...ofTemporal, ...ofOtel];
    for (const setting of Object.keys(service(name).environment ?? {})) expect(known).toContain(setting);
  });

  it.each(coordinators)('configures %s for a user who has set nothing but the shards', (name) => {
    const config = loadConfig({ ...service(name).environment });
    expect(config.temporal.address).toBe('temporal:7233');
    expect(config.restAddress).toEqual({ host: '0.0.0.0', port: 6333 });
    expect(config.apiKeys).toHaveLength(1);
    expect(config.seedShards).toHaveLength(2);
    expect(config.shardKeys).toEqual({ given: [], file: null });
  });

  it('says what to do when the shards are not set, which an API without a cluster cannot start without', () => {
    expect(() => compose({})).toThrow('QUIVER_CLUSTER_SHARDS: put the shards of the cluster into .env');
  });

  it.each(coordinators)("passes the user's shards, keys and routers on to %s", (name) => {
    const { environment } = service(name, {
      QUIVER_CLUSTER_REPLICAS: '0=http://shard0b:6333',
      QUIVER_CLUSTER_SHARD_KEY: 'shard-key',
      QUIVER_API_KEYS: 'one,two',
      COORDINATOR_ROUTER_URLS: 'http://router:6333',
      COORDINATOR_CLUSTER: 'blue',
    });
    const config = loadConfig({ ...environment });
    expect(config.seedShards).toEqual([
      { primary_url: 'http://shard0:6333', replica_urls: ['http://shard0b:6333'] },
      { primary_url: 'http://shard1:6333', replica_urls: [] },
    ]);
    expect(config).toMatchObject({
      shardKeys: { given: ['shard-key'] },
      routerUrls: ['http://router:6333'],
      cluster: 'blue',
    });
    expect(config.apiKeys).toHaveLength(2);
  });

  it.each(coordinators)('starts %s with the command of the same name', (name) => {
    expect(service(name).command).toEqual(['node', 'dist/main.js', name]);
  });

  it('gives Temporal and its schema step the same password as PostgreSQL, whichever it is', () => {
    for (const environment of [{}, { POSTGRES_PASSWORD: 'another' }]) {
      const password = service('postgresql', environment).environment?.['POSTGRES_PASSWORD'];
      expect(service('temporal', environment).environment?.['POSTGRES_PWD']).toBe(password);
      expect(service('temporal-schema', environment).environment?.['SQL_PASSWORD']).toBe(password);
    }
    expect(service('postgresql', { POSTGRES_PASSWORD: 'another' }).environment?.['POSTGRES_PASSWORD']).toBe('another');
  });

  it.each(each)('runs scripts in %s that are in the repository', (_name, { entrypoint, volumes: mounts }) => {
    const script = entrypoint?.[1];
    if (script === undefined) return;
    const mount = mounts?.map((each) => each.split(':')).find(([, target]) => target === dirname(script));
    expect(existsSync(join(root, mount?.[0] ?? '', script.slice(dirname(script).length)))).toBe(true);
  });

  it('takes PostgreSQL for healthy only when it answers over TCP, which it does not while its image sets it up', () => {
    expect(service('postgresql').healthcheck?.test).toContain('--host=127.0.0.1');
  });

  it('points Temporal at the dynamic configuration of the repository', () => {
    const { environment, volumes: mounts } = service('temporal');
    const path = environment?.['DYNAMIC_CONFIG_FILE_PATH'] ?? '';
    const [source = ''] = mounts?.map((each) => each.split(':')).find(([, target]) => target === dirname(path)) ?? [];
    const settings = parse(read(join(source, path.slice(dirname(path).length)))) as Record<string, unknown>;
    expect(settings).toMatchObject({
      'history.transferProcessorMaxPollRPS': [{ value: 2000, constraints: {} }],
      'history.timerProcessorMaxPollRPS': [{ value: 2000, constraints: {} }],
    });
  });
});

describe('deploy/temporal', () => {
  const scripts = readdirSync(join(root, 'deploy/temporal')).filter((name) => name.endsWith('.sh'));

  it.each(scripts)('%s is valid for a POSIX shell and stops at the first failure', (name) => {
    expect(() => execFileSync('sh', ['-n', join(root, 'deploy/temporal', name)], { stdio: 'pipe' })).not.toThrow();
    expect(read(`deploy/temporal/${name}`)).toMatch(/^set -eu$/m);
  });

  it('creates the search attributes that the coordinator uses', () => {
    const created = [...read('deploy/temporal/create-namespace.sh').matchAll(/--name (\w+) --type (\w+)/g)];
    const used = [CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE].map(({ name, type }) => [name, type]);
    expect(created.map(([, name, type = '']) => [name, type.toUpperCase()])).toEqual(used);
  });
});
