import { hash } from 'node:crypto';
import type { SettingReader } from './reader';
import { SETTINGS } from './settings';

export const ROLES = ['read', 'write', 'admin'] as const;
/** Each role may do what the ones before it may. */
export type Role = (typeof ROLES)[number];

/** A key of this API. Only its digest is kept: a dump of the configuration gives no key away. */
export interface ApiKey {
  /** Names the key in logs. */
  readonly id: string;
  readonly role: Role;
  readonly digest: Buffer;
}

export const keyDigest = (secret: string): Buffer => hash('sha256', secret, 'buffer');

const SETTING = 'QUIVER_API_KEYS';

/** @throws ConfigError that says which key is wrong, never what it is */
export function readApiKeys(reader: SettingReader): readonly ApiKey[] {
  const keys = reader.list(SETTING).map((item, index) => readKey(reader, item, index));
  const seen = new Set<string>();
  for (const [index, key] of keys.entries()) {
    const digest = key.digest.toString('hex');
    if (seen.has(digest)) throw reader.error(SETTING, null, `key ${index + 1} a second time`);
    seen.add(digest);
  }
  return keys;
}

function readKey(reader: SettingReader, item: unknown, index: number): ApiKey {
  const nth = `key ${index + 1}`;
  if (typeof item === 'string') {
    if (/^\{/.test(item.trim())) {
      throw reader.error(SETTING, null, `a structured ${nth} in text (these go into quiver.toml)`);
    }
    return { id: `key-${index + 1}`, role: 'admin', digest: keyDigest(requireSecret(reader, item, nth)) };
  }
  if (typeof item !== 'object' || item === null) {
    throw reader.error(SETTING, null, `${nth}, which is neither text nor {secret, role, id}`);
  }
  const { secret, role, id } = item as { secret?: unknown; role?: unknown; id?: unknown };
  if (typeof secret !== 'string') throw reader.error(SETTING, null, `${nth} without a secret`);
  if (!ROLES.some((each) => each === role)) {
    throw reader.error(SETTING, null, `${nth} with a role that is not read, write or admin`);
  }
  if (id !== undefined && (typeof id !== 'string' || !/^[\w.@:-]{1,64}$/.test(id))) {
    throw reader.error(SETTING, null, `${nth} with an id that is not 1 to 64 of the characters A-Z a-z 0-9 _ . @ : -`);
  }
  return { id: id ?? `key-${index + 1}`, role: role as Role, digest: keyDigest(requireSecret(reader, secret, nth)) };
}

/** A key travels in an HTTP header, so it holds visible ASCII characters only. */
function requireSecret(reader: SettingReader, secret: string, nth: string): string {
  const trimmed = secret.trim();
  if (trimmed === '') throw reader.error(SETTING, null, `${nth}, which is empty`);
  if (!SETTINGS[SETTING].pattern.test(trimmed))
    throw reader.error(SETTING, null, `${nth}, which holds a blank or another invisible character`);
  return trimmed;
}
