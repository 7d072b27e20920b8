/**
 * The session of the status page. Its cookie is a token `<ends>.<nonce>.<mac>`: when it ends (seconds since 1970), 128 bits of chance, and
 * an HMAC of both under a secret that is derived from the API key of the login.
 *
 * - Every API process that has the key accepts it, so the page works behind a load balancer, and after a restart.
 * - No process keeps sessions, so their number needs no bound. The token does not contain the key.
 * - It has the role that its key has now. When the key is gone from the settings, the session is over.
 * - A logout removes the cookie, and this process remembers the token as ended. Another process would still take a copy until its end.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export const SESSION_COOKIE = 'coordinator_session';
/** Sent by the page with every change. A form or an image of another site cannot send it. */
export const PAGE_HEADER = 'x-coordinator-page';
export const SESSION_S = 12 * 3_600;
/** Another process may have made the token, by a clock that is ahead. */
const SKEW_S = 300;
const COOKIE_CHARACTERS_MAX = 4_096;
const ENDED_MAX = 10_000;
const TOKEN = /^(\d{1,12})\.([\w-]{22})\.([\w-]{43})$/;

export interface SessionToken {
  readonly endsAtS: number;
  readonly nonce: string;
  readonly mac: Buffer;
}

/** `digest`: of the key, as the settings keep it. */
export function issueToken(digest: Buffer, nowMs: number): string {
  const signed = `${Math.floor(nowMs / 1_000) + SESSION_S}.${randomBytes(16).toString('base64url')}`;
  return `${signed}.${macOf(digest, signed).toString('base64url')}`;
}

/** Null when there is no token in the header, or none that can be right at this time. */
export function readToken(cookies: string | undefined, nowMs: number): SessionToken | null {
  if (cookies === undefined || cookies.length > COOKIE_CHARACTERS_MAX) return null;
  const pairs = cookies.split(';').map((each) => each.trim());
  const value = pairs.find((each) => each.startsWith(`${SESSION_COOKIE}=`))?.slice(SESSION_COOKIE.length + 1) ?? '';
  const [, ends, nonce, mac] = TOKEN.exec(value) ?? [];
  if (ends === undefined || nonce === undefined || mac === undefined) return null;
  const [endsAtS, nowS] = [Number(ends), nowMs / 1_000];
  if (endsAtS <= nowS || endsAtS > nowS + SESSION_S + SKEW_S) return null;
  return { endsAtS, nonce, mac: Buffer.from(mac, 'base64url') };
}

/** Whether the token was made with the key that has this digest. */
export function isSignedWith(digest: Buffer, { endsAtS, nonce, mac }: SessionToken): boolean {
  return timingSafeEqual(macOf(digest, `${endsAtS}.${nonce}`), mac);
}

function macOf(digest: Buffer, signed: string): Buffer {
  const secret = createHmac('sha256', digest).update('session of the status page, version 1').digest();
  return createHmac('sha256', secret).update(signed).digest();
}

/** `isSecure`: the browser came over TLS. */
export function sessionCookie(token: string, isSecure: boolean): string {
  return cookie(token, SESSION_S, isSecure);
}

export function clearedCookie(isSecure: boolean): string {
  return cookie('', 0, isSecure);
}

function cookie(value: string, maxAgeS: number, isSecure: boolean): string {
  const attributes = `Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
  return `${SESSION_COOKIE}=${value}; ${attributes}`;
}

/** The tokens that a logout has ended here, until they end by themselves. The oldest gives way when there are too many. */
export class EndedSessions {
  readonly #endsByNonce = new Map<string, number>();

  note({ nonce, endsAtS }: SessionToken, nowMs: number): void {
    for (const [each, ends] of this.#endsByNonce) if (ends * 1_000 <= nowMs) this.#endsByNonce.delete(each);
    const [oldest] = this.#endsByNonce.keys();
    if (this.#endsByNonce.size >= ENDED_MAX && oldest !== undefined) this.#endsByNonce.delete(oldest);
    this.#endsByNonce.set(nonce, endsAtS);
  }

  has({ nonce }: SessionToken): boolean {
    return this.#endsByNonce.has(nonce);
  }
}
