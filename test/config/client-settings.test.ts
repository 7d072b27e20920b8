import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config';
import { CLIENT_SETTINGS, loadClientConfig } from '../../src/config/client-settings';

const MEANING_WORDS_MAX = 20;

describe('the settings of a command', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'client-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const keyIn = (content: string): string | null => {
    const path = join(dir, 'key');
    writeFileSync(path, content);
    return loadClientConfig({ COORDINATOR_KEY_FILE: path }).key;
  };

  it('have a default address, and take blanks for not set', () => {
    const environment = { COORDINATOR_URL: ' ', COORDINATOR_KEY: '' };
    expect(loadClientConfig(environment)).toEqual({ url: 'http://127.0.0.1:6333', key: null, keyFile: null });
  });

  it('keep a path in the address, and no slash at its end', () => {
    const urlOf = (text: string): string => loadClientConfig({ COORDINATOR_URL: text }).url;
    expect(urlOf('https://gate.example/coordinator/')).toBe('https://gate.example/coordinator');
    expect(urlOf('http://[::1]:6333')).toBe('http://[::1]:6333');
    for (const bad of ['coordinator:6333', 'ftp://c', 'http://c?x=1', 'http://u:p@c']) {
      expect(() => urlOf(bad)).toThrow(/^COORDINATOR_URL: expected /);
    }
  });

  it('take the first key of a file, and never show what is in it', () => {
    expect(keyIn('\n  first  \nsecond\n')).toBe('first');
    expect(keyIn('one,two')).toBe('one');
    for (const bad of ['', '\n\n', 'se cret', 'secr\u00e9t']) {
      expect(() => keyIn(bad)).toThrow(/^COORDINATOR_KEY_FILE: expected (?!.*se?cr)/);
    }
    expect(() => loadClientConfig({ COORDINATOR_KEY: 'se cret' })).toThrow(/^COORDINATOR_KEY: expected (?!.*cret)/);
  });

  it('prefer what the command line gives', () => {
    writeFileSync(join(dir, 'given'), 'given');
    const environment = { COORDINATOR_URL: 'http://a', COORDINATOR_KEY: 'k' };
    const given = { url: 'http://b', keyFile: join(dir, 'given') };
    expect(loadClientConfig(environment, given)).toMatchObject({ url: 'http://b', key: 'given' });
  });

  it('may stand in the environment of the service', () => {
    const environment = {
      QUIVER_API_KEYS: 'k',
      COORDINATOR_URL: 'http://a',
      COORDINATOR_KEY: 'k',
      COORDINATOR_KEY_FILE: 'f',
    };
    expect(loadConfig(environment).cluster).toBe('default');
    expect(() => loadConfig({ ...environment, COORDINATOR_KEYS: 'k' })).toThrow(/COORDINATOR_KEYS: expected a known/);
  });

  it.each(Object.entries(CLIENT_SETTINGS))('say the meaning of %s in one short sentence', (_name, { meaning }) => {
    expect(meaning).toMatch(/^[A-Z][^.]*\.$/);
    expect(meaning.split(' ').length).toBeLessThanOrEqual(MEANING_WORDS_MAX);
  });
});
