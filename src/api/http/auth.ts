import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { keyDigest, type ApiKey, type KeyFile, type Role } from '../../config';
import { FailedKeys } from './failed-keys';
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
  private fromFile: { readonly secrets: readonly string[]; readonly keys: readonly ApiKey[] } = NO_KEYS;

  constructor(keys: readonly ApiKey[], file: KeyFile | null = null, failed = new FailedKeys(0)) {
    this.keys = keys;
    this.file = file;
    this.failed = failed;
  }

  /** @throws ApiError Unauthenticated, Forbidden, TooManyFailedKeys */
  authenticate(request: IncomingMessage, role: Role): Caller {
    const isOpen = this.keys.length === 0 && this.file === null;
    const caller = isOpen
      ? ANONYMOUS
      : this.identify(request.headers.authorization, request.socket.remoteAddress ?? '');
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

  private identify(authorization: string | undefined, address: string): Caller {
    if (authorization === undefined || authorization.length > AUTHORIZATION_CHARACTERS_MAX) {
      throw new ApiError('Unauthenticated', 'this needs a key: send Authorization: Bearer <key>', {
        headers: CHALLENGE,
      });
    }
    const secret = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '';
    const digest = keyDigest(secret);
    const found = this.find(digest, false) ?? (this.file === null ? null : this.find(digest, true));
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
      throw new ApiError(
        'Unauthenticated',
        'the key is not one of this coordinator: send Authorization: Bearer <key>',
        {
          headers: CHALLENGE,
        },
      );
    }
    this.failed.noteRight(address, nameOf(found));
    return found;
  }

  /** Every key is compared, also after a match, so that the time taken tells nothing about them. */
  private find(digest: Buffer, isRefused: boolean): ApiKey | null {
    let found: ApiKey | null = null;
    for (const key of this.keys) if (timingSafeEqual(key.digest, digest)) found = key;
    for (const key of this.keysOfFile(isRefused)) if (timingSafeEqual(key.digest, digest)) found = key;
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
