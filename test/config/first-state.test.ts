import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config';
import { NO_AUTOSCALE } from '../../src/domain/autoscale-state';
import { readStateFile } from '../../src/config/first-state';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'state-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function stateFile(content: unknown): string {
  const path = join(dir, 'state.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const SHARD = { id: 3, primary_url: 'http://S3:80/', replica_urls: ['http://s3b:6333/'] };
const MAP = { version: 9, shards: [SHARD], joining: [], leaving: [] };

describe('readStateFile', () => {
  it('takes over version, ids and next id, with the URLs in normal form', () => {
    expect(readStateFile(stateFile({ next_id: 8, map: MAP }))).toEqual({
      map: { ...MAP, shards: [{ id: 3, primary_url: 'http://s3', replica_urls: ['http://s3b:6333'] }] },
      nextId: 8,
      lock: null,
      isInOrder: false,
      identity: { uid: null, removed: false },
      epoch: 0,
      members: {},
      operations: [],
      answered: [],
      notices: [],
      autoscale: NO_AUTOSCALE,
    });
  });

  it('never hands out the id of a shard that is there, whatever next_id says', () => {
    expect(readStateFile(stateFile({ next_id: 0, map: MAP })).nextId).toBe(4);
  });

  it.each([
    ['is no JSON', '{'],
    ['lacks the next id', { map: MAP }],
    ['holds an id that a JavaScript number cannot', `{"next_id":9007199254740993,"map":${JSON.stringify(MAP)}}`],
    ['has a URL that is none', { next_id: 8, map: { ...MAP, shards: [{ ...SHARD, primary_url: 's3' }] } }],
  ])('refuses a file that %s, in one line that names the setting', (_what, content) => {
    const read = () => readStateFile(stateFile(content));
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(/^QUIVER_COORDINATOR_STATE: expected a state file \{next_id, map\}, got [^\n]*$/);
  });

  it('refuses a file that is not there rather than beginning at version 0', () => {
    expect(() => readStateFile(join(dir, 'absent.json'))).toThrow(/ENOENT/);
  });
});
