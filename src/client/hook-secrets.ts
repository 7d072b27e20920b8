/** The secrets of webhooks: sealed where they are kept, and what they sign. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, scryptSync } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Not secret: it only keeps this use of the key apart from any other. */
const SALT = 'quiver-coordinator hooks v1';

/** Seals with a key that API and workers are given, and that Temporal never sees. A secret is sealed for one URL. */
export class SecretSeal {
  readonly #key: Buffer;

  constructor(key: string) {
    this.#key = scryptSync(key, SALT, KEY_BYTES);
  }

  seal(secret: string, url: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce).setAAD(Buffer.from(url));
    const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /** Null: it was sealed with another key, or for another URL. */
  open(text: string, url: string): string | null {
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
    const tagEnd = NONCE_BYTES + TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, this.#key, bytes.subarray(0, NONCE_BYTES))
      .setAAD(Buffer.from(url))
      .setAuthTag(bytes.subarray(NONCE_BYTES, tagEnd));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(tagEnd)), decipher.final()]).toString('utf8');
    } catch {
      return null;
    }
  }
}

/** `t=<seconds since the epoch>,v1=<hex>`: HMAC-SHA256 over `<seconds>.<body>`. The time bounds a replay. */
export function signatureOf(secret: string, atS: number, body: string): string {
  return `t=${atS},v1=${createHmac('sha256', secret).update(`${atS}.${body}`).digest('hex')}`;
}
