import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authenticator } from '../../../src/api/http/auth';
import { keyDigest } from '../../../src/config';
import { KeyFile } from '../../../src/shards/reach/key-file';

let dir: string;
let nowMs: number;
beforeEach(() => {
  nowMs = 0;
  dir = mkdtempSync(join(tmpdir(), 'auth-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function request(key: string | null): IncomingMessage {
  const made = new IncomingMessage(new Socket());
  if (key !== null) made.headers.authorization = `Bearer ${key}`;
  return made;
}

describe('keys of the API in a file', () => {
  it('are let in beside those of the settings, and change with the file', () => {
    const path = join(dir, 'keys');
    writeFileSync(path, 'first\n');
    const given = { id: 'given', role: 'read', digest: keyDigest('given') } as const;
    const authenticator = new Authenticator([given], new KeyFile(path, { nowMs: () => nowMs }));
    expect(authenticator.authenticate(request('given'), 'read').id).toBe('given');
    expect(authenticator.authenticate(request('first'), 'admin').id).toBe('file-key-1');
    writeFileSync(path, 'first,second\n');
    nowMs += 100;
    expect(authenticator.authenticate(request('second'), 'admin').id).toBe('file-key-2');
    writeFileSync(path, 'second\n');
    nowMs += 1_000;
    expect(() => authenticator.authenticate(request('first'), 'read')).toThrow(/not one of this coordinator/);
    expect(authenticator.authenticate(request('second'), 'admin').role).toBe('admin');
  });

  it('let nobody in without a key, also when there are no others', () => {
    const path = join(dir, 'keys');
    writeFileSync(path, 'first');
    const authenticator = new Authenticator([], new KeyFile(path, { nowMs: () => nowMs }));
    expect(() => authenticator.authenticate(request(null), 'read')).toThrow(/needs a key/);
    writeFileSync(path, '');
    nowMs += 1_000;
    expect(() => authenticator.authenticate(request(''), 'read')).toThrow();
    expect(authenticator.authenticate(request('first'), 'admin').id).toBe('file-key-1');
  });
});
