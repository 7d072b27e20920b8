import { recordNotices } from '../../../src/domain/notices';
import { noticeListSchema } from '../../../src/wire/coordinator-api';
import { ApiServer, KEYS, STATE } from '../../support/api-server';
import { waitFor } from '../../support/wait-for';

const key = 'RouterServesSeeds.http_r0_6333';
let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
  const notice = { key, code: 'RouterServesSeeds', message: 'run a check', operationId: 'grow-a' } as const;
  api.client.state = recordNotices(STATE, [notice], 0);
});
afterEach(() => api.close());

describe('GET /cluster/notices', () => {
  it('lists what an operator must notice, to any key', async () => {
    const { status, json } = await api.call('/cluster/notices', { key: KEYS.read });
    expect(status).toBe(200);
    expect(noticeListSchema.parse(json)).toEqual({
      notices: [
        {
          key,
          code: 'RouterServesSeeds',
          message: 'run a check',
          since: '1970-01-01T00:00:00.000Z',
          last_seen: '1970-01-01T00:00:00.000Z',
          operation_id: 'grow-a',
        },
      ],
    });
    expect((await api.call('/cluster/notices', { key: null })).status).toBe(401);
  });

  it('has no other method', async () => {
    const { status, headers } = await api.call('/cluster/notices', { method: 'POST', body: {} });
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});

describe('DELETE /cluster/notices/{key}', () => {
  it('clears the notice, and answers with the list', async () => {
    const { status, json } = await api.call(`/cluster/notices/${key}`, { method: 'DELETE' });
    expect([status, Object.keys(json)]).toEqual([200, ['notices']]);
    expect(api.client.transitions).toEqual([{ type: 'clearNotice', key }]);
  });

  it('needs the role admin', async () => {
    const { status } = await api.call(`/cluster/notices/${key}`, { method: 'DELETE', key: KEYS.write });
    expect(status).toBe(403);
    expect(api.client.transitions).toEqual([]);
  });
});

describe('GET /readyz', () => {
  it('counts the notices in a header, as of an earlier probe, and stays as it is for who reads only the body', async () => {
    const probe = () => api.call('/readyz', { key: null });
    expect(await probe()).toMatchObject({ status: 200, text: 'ok' });
    const { text } = await waitFor('they are counted', async () => {
      const answer = await probe();
      return answer.headers.get('coordinator-notices') === '1' && answer;
    });
    expect(text).toBe('ok');
  });
});
