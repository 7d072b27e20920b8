import { NO_AUTOSCALE, type AutoscaleState } from '../../../src/domain/autoscale-state';
import { DEFAULT_POLICY } from '../../../src/domain/autoscale-policy';
import { autoscaleViewSchema, evaluateAnswerSchema } from '../../../src/wire/autoscale';
import { ApiServer, KEYS, STATE } from '../../support/api-server';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(async () => {
  await api.close();
});

const SINCE = Date.parse('2026-01-02T03:04:05Z');
const isoOf = (ms: number): string => new Date(ms).toISOString();
const hasState = (autoscale: Partial<AutoscaleState>): void => {
  api.client.state = { ...STATE, autoscale: { ...NO_AUTOSCALE, seeded: true, ...autoscale } };
};
const POLICY = { enabled: true, high_water_points: 1_000 };

describe('GET /cluster/autoscale', () => {
  it('shows the policy, the standbys, the evaluations and what to notice, in names and times of the wire', async () => {
    hasState({
      policy: { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 10 },
      standbys: [
        {
          primary_url: 'http://s2:6333',
          replica_urls: ['http://s2b:6333'],
          addedAtMs: SINCE,
          unusable: { reason: 'down', sinceMs: SINCE, triedAtMs: SINCE + 1_000 },
        },
      ],
      lastScaleAtMs: Date.now() - 100_000,
      evaluations: [
        {
          atMs: SINCE,
          reason: 'grow',
          message: 'full',
          pointsMax: 11,
          unreadable: [1],
          operationId: 'grow-auto-1',
          refusal: null,
        },
      ],
      notices: [{ code: 'StandbyUnusable', about: 'http://s2:6333', message: 'down', sinceMs: SINCE }],
    });
    api.autoscale.schedule = { nextEvaluationAtMs: SINCE, problem: null };
    const { status, json } = await api.call('/cluster/autoscale', { key: KEYS.read });
    expect(status).toBe(200);
    expect(autoscaleViewSchema.strict().parse(json)).toEqual(json);
    expect(json).toMatchObject({
      policy: {
        enabled: true,
        high_water_points: 10,
        interval_secs: 30,
        cooldown_secs: 300,
        max_shards: 0,
        sustain_evaluations: 1,
      },
      standbys: [
        {
          primary_url: 'http://s2:6333',
          replica_urls: ['http://s2b:6333'],
          added_at: isoOf(SINCE),
          unusable: { reason: 'down', since: isoOf(SINCE), tried_at: isoOf(SINCE + 1_000) },
        },
      ],
      next_evaluation_at: isoOf(SINCE),
      forecast: null,
      evaluations: [
        {
          at: isoOf(SINCE),
          reason: 'grow',
          points_max: 11,
          unreadable: [1],
          operation_id: 'grow-auto-1',
          refusal: null,
        },
      ],
      notices: [{ code: 'StandbyUnusable', message: 'down', since: isoOf(SINCE) }],
    });
    const left = json['cooldown_left_secs'] as number;
    expect(left).toBeGreaterThan(190);
    expect(left).toBeLessThanOrEqual(200);
  });

  it('tells how fast the fullest shard grows, and when it reaches the mark', async () => {
    const evaluations = [2, 1, 0].map((minute) => ({
      atMs: SINCE + minute * 60_000,
      reason: 'below_mark' as const,
      message: '',
      pointsMax: 1_000 + minute,
      unreadable: [],
      operationId: null,
      refusal: null,
    }));
    hasState({ policy: { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 2_442 }, evaluations });
    const { json } = await api.call('/cluster/autoscale');
    expect(json).toMatchObject({ forecast: { points_per_day: 1_440, days_until_mark: 1 } });
  });

  it('answers also when the Schedule is out of reach, and says so', async () => {
    hasState({});
    api.autoscale.schedule = { nextEvaluationAtMs: null, problem: 'permission denied' };
    const { status, json } = await api.call('/cluster/autoscale');
    expect(status).toBe(200);
    expect(json).toMatchObject({
      next_evaluation_at: null,
      notices: [{ code: 'ScheduleOutOfStep', message: expect.stringContaining('permission denied') }],
    });
  });

  it('needs a key', async () => {
    expect((await api.call('/cluster/autoscale', { key: null })).status).toBe(401);
  });
});

describe('PUT /cluster/autoscale', () => {
  const put = (body: unknown, key: string = KEYS.admin) => api.call('/cluster/autoscale', { method: 'PUT', key, body });

  it('keeps the rest of the policy when it is only told to stop', async () => {
    hasState({ policy: { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 5, intervalSecs: 600 } });
    expect((await put({ enabled: false })).status).toBe(200);
    const policy = { ...DEFAULT_POLICY, enabled: false, highWaterPoints: 5, intervalSecs: 600 };
    expect(api.client.transitions).toEqual([{ type: 'replacePolicy', policy }]);
  });

  it('replaces the whole policy, what is left out by its default, and puts the Schedule in step', async () => {
    hasState({ policy: { ...DEFAULT_POLICY, cooldownSecs: 7 } });
    expect((await put({ ...POLICY, max_shards: 4 })).status).toBe(200);
    expect(api.client.transitions).toEqual([
      {
        type: 'replacePolicy',
        policy: { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 1_000, maxShards: 4 },
      },
    ]);
    expect(api.autoscale.asked).toContain('syncSchedule');
  });

  it('takes the seed of the settings first, so that their standbys are not lost', async () => {
    hasState({});
    await put(POLICY);
    expect(api.autoscale.asked[0]).toBe('readState');
  });

  it.each([
    ['a policy without enabled', { high_water_points: 1 }, 'enabled'],
    ['a policy without a mark', { enabled: true }, 'high_water_points'],
    ['an unknown name', { ...POLICY, high_water: 1 }, 'high_water'],
    ['an interval of 0', { ...POLICY, interval_secs: 0 }, 'interval_secs'],
    ['a cooldown below 0', { ...POLICY, cooldown_secs: -1 }, 'cooldown_secs'],
    ['a cap above the largest map', { ...POLICY, max_shards: 1_025 }, 'max_shards'],
    ['no evaluation at all', { ...POLICY, sustain_evaluations: 0 }, 'sustain_evaluations'],
    ['half a point', { ...POLICY, high_water_points: 1.5 }, 'high_water_points'],
    ['a number as text', { ...POLICY, interval_secs: '30' }, 'interval_secs'],
    ['enabled with no mark', { enabled: true, high_water_points: 0 }, 'high_water_bytes 0 would never grow'],
    ['a low mark above the high one', { ...POLICY, low_water_points: 1_000_000_000_000 }, 'low_water_points'],
    ['no shard at least', { ...POLICY, min_shards: 0 }, 'min_shards'],
  ])('refuses %s, names it and changes nothing', async (_what, body, named) => {
    const { status, json } = await put(body);
    expect(status).toBe(400);
    expect(json['detail']).toContain(named);
    expect(api.client.transitions).toEqual([]);
  });

  it('takes a mark of 0 for a policy that is disabled', async () => {
    hasState({});
    expect((await put({ enabled: false, high_water_points: 0 })).status).toBe(200);
  });

  it('needs an admin', async () => {
    expect((await put(POLICY, KEYS.write)).status).toBe(403);
  });
});

describe('POST /cluster/autoscale/evaluate', () => {
  const evaluate = (body?: unknown, key: string = KEYS.admin) =>
    api.call('/cluster/autoscale/evaluate', { method: 'POST', key, body });

  it.each([
    [undefined, false],
    [{}, false],
    [{ dryRun: true }, true],
    [{ dry_run: true }, true],
    [{ dryRun: false }, false],
  ])('with %j answers with the evaluation, with dry_run %s', async (body, dryRun) => {
    const { status, json } = await evaluate(body);
    expect(status).toBe(200);
    expect(evaluateAnswerSchema.strict().parse(json)).toMatchObject({ reason: 'below_mark', dry_run: dryRun });
    expect(api.autoscale.asked).toContain(`evaluate ${dryRun}`);
  });

  it('refuses a mistyped name, which would start a real evaluation', async () => {
    expect((await evaluate({ dryrun: true })).status).toBe(400);
    expect(api.autoscale.asked).toEqual([]);
  });

  it('needs an admin, also as a dry run', async () => {
    expect((await evaluate({ dryRun: true }, KEYS.read)).status).toBe(403);
  });
});

describe('/cluster/standbys', () => {
  it('takes a standby with its replicas, in normal form, and answers like GET /cluster/autoscale', async () => {
    const body = { primary_url: 'http://S2:6333/', replica_urls: ['http://s2b:6333'] };
    const { status, json } = await api.call('/cluster/standbys', { method: 'POST', body });
    expect(status).toBe(200);
    expect(autoscaleViewSchema.strict().parse(json)).toEqual(json);
    expect(api.client.transitions).toEqual([
      { type: 'addStandby', address: { primary_url: 'http://s2:6333', replica_urls: ['http://s2b:6333'] } },
    ]);
  });

  it.each([
    ['the query', `?primary_url=${encodeURIComponent('http://S2:6333/')}`, undefined],
    ['the body', '', { primary_url: 'http://S2:6333/' }],
  ])('removes the standby that %s names', async (_where, query, body) => {
    const { status } = await api.call(`/cluster/standbys${query}`, { method: 'DELETE', body });
    expect(status).toBe(200);
    expect(api.client.transitions).toEqual([{ type: 'removeStandby', primaryUrl: 'http://s2:6333' }]);
  });

  it.each([
    ['DELETE', '', undefined],
    ['DELETE', '?primary_url=a&primary_url=b', undefined],
    ['DELETE', '?primary=http://s2', undefined],
    ['DELETE', '', { primary_url: 'ftp://s2' }],
    ['DELETE', '?primary_url=http://s2', { primary_url: 'http://s3' }],
    ['DELETE', '?primary_url=http://s2', { primary_url: 'http://s2', more: 1 }],
    ['POST', '', { primary_url: 's2' }],
    ['POST', '', { primary_url: 'http://s2', replica_urls: ['http://s2/'] }],
  ])('refuses %s%s with %j', async (method, query, body) => {
    expect((await api.call(`/cluster/standbys${query}`, { method, body })).status).toBe(400);
    expect(api.client.transitions).toEqual([]);
  });

  it('needs an admin', async () => {
    expect((await api.call('/cluster/standbys', { method: 'POST', key: KEYS.write, body: {} })).status).toBe(403);
    expect((await api.call('/cluster/standbys', { method: 'DELETE', key: KEYS.write })).status).toBe(403);
  });
});
