import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { keyDigest, type ApiKey, type KeyFile, type Role } from '../../config';
import { FailedKeys } from './failed-keys';
import { EndedSessions, isSignedWith, issueToken, PAGE_HEADER, readToken } from './page-session';
import { ApiError } from './problem';

/** By its digest: after a rotation a file may give another key the same id. */
const nameOf = ({ digest }: ApiKey): string => digest.toString('latin1');

/** A role may do everything that a role with a lower rank may. */
const RANK: Record<Role, number> = { read: 0, write: 1, admin: 2 };

/** The maker of a request. Without keys every caller is `anonymous` and may do everything, as `QUIVER_INSECURE` says. */
export interface Caller {
  readonly id: string;
  readonly role: Role;
}

/** Who is logged in at the status page. `endsAtMs` is null where no login is needed. */
export interface PageSession extends Caller {
  readonly endsAtMs: number | null;
}

const NO_KEYS = { secrets: [], keys: [] } as const;
const ANONYMOUS: Caller = { id: 'anonymous', role: 'admin' };
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="coordinator"' };
/** No key is longer; a longer header is refused before it is hashed. */
const AUTHORIZATION_CHARACTERS_MAX = 1_024;

export class Authenticator {
  private readonly keys: readonly ApiKey[];
  private readonly file: KeyFile | null;
  private readonly failed: FailedKeys;
  /** Of the requests that may change something. A poll of the map is hot, and nobody asks for its maker. */
  private readonly callers = new WeakMap<IncomingMessage, Caller>();
  private readonly endedSessions = new EndedSessions();
  private fromFile: { readonly secrets: readonly string[]; readonly keys: readonly ApiKey[] } = NO_KEYS;

  constructor(keys: readonly ApiKey[], file: KeyFile | null = null, failed = new FailedKeys(0)) {
    this.keys = keys;
    this.file = file;
    this.failed = failed;
  }

  /** @throws ApiError Unauthenticated, Forbidden, TooManyFailedKeys */
  authenticate(request: IncomingMessage, role: Role): Caller {
    const caller = this.isOpen ? ANONYMOUS : this.identify(request);
    if (request.method !== 'GET') this.callers.set(request, caller);
    if (RANK[caller.role] < RANK[role]) {
      throw new ApiError('Forbidden', `this needs a key with the role ${role}, this key has the role ${caller.role}`);
    }
    return caller;
  }

  /** Who made a request that is no GET; null before its key was found right. Its role may have been too low. */
  callerOf(request: IncomingMessage): Caller | null {
    return this.callers.get(request) ?? null;
  }

  requires(role: Role): RequestHandler {
    return (request, _response, next) => {
      this.authenticate(request, role);
      next();
    };
  }

  /** A token for the session cookie; null where no key is needed. @throws ApiError Unauthenticated, TooManyFailedKeys */
  logIn(secret: string, request: IncomingMessage): string | null {
    return this.isOpen ? null : issueToken(this.admit(this.findSecret(secret), request).digest, Date.now());
  }

  /** This process no longer takes the token of the request. */
  logOut(request: IncomingMessage): void {
    const token = readToken(request.headers.cookie, Date.now());
    const isOurs = token !== null && this.findBy(({ digest }) => isSignedWith(digest, token)) !== null;
    if (isOurs) this.endedSessions.note(token, Date.now());
  }

  /** @throws ApiError Unauthenticated, TooManyFailedKeys */
  showSession(request: IncomingMessage): PageSession {
    const { id, role } = this.authenticate(request, 'read');
    const token = this.isOpen ? null : readToken(request.headers.cookie, Date.now());
    return { id, role, endsAtMs: token === null ? null : token.endsAtS * 1_000 };
  }

  get isOpen(): boolean {
    return this.keys.length === 0 && this.file === null;
  }

  private identify(request: IncomingMessage): Caller {
    const { authorization, cookie } = request.headers;
    if (authorization === undefined && cookie !== undefined) return this.identifySession(request);
    if (authorization === undefined || authorization.length > AUTHORIZATION_CHARACTERS_MAX) {
      throw unauthenticated('this needs a key: send Authorization: Bearer <key>');
    }
    return this.admit(this.findSecret(/^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''), request);
  }

  private identifySession(request: IncomingMessage): Caller {
    const token = readToken(request.headers.cookie, Date.now());
    if (token === null || this.endedSessions.has(token)) {
      throw unauthenticated('this needs a key or a session: send Authorization: Bearer <key>, or log in at /');
    }
    // A token is as good as its key, so a wrong one counts like a wrong key: nobody tries keys by signing tokens with them.
    const caller = this.admit(
      this.findBy(({ digest }) => isSignedWith(digest, token)),
      request,
    );
    if (request.method !== 'GET' && request.method !== 'HEAD') requirePageHeader(request);
    return caller;
  }

  /** The key that was found, unless its address has sent too many wrong ones. */
  private admit(found: ApiKey | null, request: IncomingMessage): ApiKey {
    const address = request.socket.remoteAddress ?? '';
    const waitS = this.failed.retryAfterS(address);
    if (waitS !== null && (found === null || !this.failed.isKnown(address, nameOf(found)))) {
      throw new ApiError(
        'TooManyFailedKeys',
        `too many wrong keys came from your address, so no new key is taken from it: come back in ${waitS} s with the right one`,
        { headers: { 'Retry-After': String(waitS) } },
      );
    }
    if (found === null) {
      this.failed.noteWrong(address);
      throw unauthenticated('the key is not one of this coordinator: send Authorization: Bearer <key>');
    }
    this.failed.noteRight(address, nameOf(found));
    return found;
  }

  private findSecret(secret: string): ApiKey | null {
    const digest = keyDigest(secret);
    return this.findBy((key) => timingSafeEqual(key.digest, digest));
  }

  private findBy(isIt: (key: ApiKey) => boolean): ApiKey | null {
    return this.find(isIt, false) ?? (this.file === null ? null : this.find(isIt, true));
  }

  /** Every key is compared, also after a match, so that the time taken tells nothing about them. */
  private find(isIt: (key: ApiKey) => boolean, isRefused: boolean): ApiKey | null {
    let found: ApiKey | null = null;
    for (const key of this.keys) if (isIt(key)) found = key;
    for (const key of this.keysOfFile(isRefused)) if (isIt(key)) found = key;
    return found;
  }

  private keysOfFile(isRefused: boolean): readonly ApiKey[] {
    const secrets = this.file?.keys({ isRefused }) ?? [];
    if (secrets !== this.fromFile.secrets) {
      const keyOf = (secret: string, index: number): ApiKey => ({
        id: `file-key-${index + 1}`,
        role: 'admin',
        digest: keyDigest(secret),
      });
      this.fromFile = { secrets, keys: secrets.map(keyOf) };
    }
    return this.fromFile.keys;
  }
}

/** The page sends this header, and no other site can. @throws ApiError Forbidden */
export function requirePageHeader(request: IncomingMessage): void {
  if (request.headers[PAGE_HEADER] === '1') return;
  throw new ApiError(
    'Forbidden',
    'a change with the cookie of the status page needs the header X-Coordinator-Page: 1, which only the page itself sends: send it, or Authorization: Bearer <key>',
  );
}

const unauthenticated = (detail: string): ApiError => new ApiError('Unauthenticated', detail, { headers: CHALLENGE });
