import { createHmac } from 'node:crypto';
import { SecretSeal, signatureOf } from '../../src/client/hook-secrets';

const KEY = 'a key of sixteen and more';

describe('a sealed secret', () => {
  const seal = new SecretSeal(KEY);

  it('is opened with the same key in another process, and shows nothing of the secret', () => {
    const sealed = seal.seal('the secret of a hook', 'http://a/');
    expect(new SecretSeal(KEY).open(sealed, 'http://a/')).toBe('the secret of a hook');
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('secret');
    expect(seal.seal('the secret of a hook', 'http://a/')).not.toBe(sealed);
  });

  it('is not opened with another key, for another URL, or when it was changed', () => {
    const sealed = seal.seal('the secret of a hook', 'http://a/');
    const changed = Buffer.from(sealed, 'base64url');
    changed[changed.length - 1]! ^= 1;
    expect(new SecretSeal(`${KEY}!`).open(sealed, 'http://a/')).toBeNull();
    expect(seal.open(sealed, 'http://b/')).toBeNull();
    expect(seal.open(changed.toString('base64url'), 'http://a/')).toBeNull();
    expect(seal.open('', 'http://a/')).toBeNull();
  });
});

it('a signature is over time and body, so that neither can be replaced', () => {
  const hmac = (text: string): string => createHmac('sha256', 's').update(text).digest('hex');
  expect(signatureOf('s', 12, '{}')).toBe(`t=12,v1=${hmac('12.{}')}`);
});
