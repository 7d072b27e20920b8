/** Arguments and options that several commands have, read and checked before any call. */
import { InvalidArgumentError, type Command } from 'commander';
import { idempotencyKeySchema } from '../wire/coordinator-api';
import { usageError } from './exit';

const OPERATION_ID = /^(?:grow|drain|check|repair|recover)-[A-Za-z0-9_.:-]{1,128}$/;

export function shardId(text: string): number {
  const id = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(id)) return id;
  throw new InvalidArgumentError('Expected the number of a shard, as `quiver-coordinator shards` lists them.');
}

export function operationId(text: string): string {
  if (OPERATION_ID.test(text)) return text;
  throw new InvalidArgumentError('Expected <kind>-<key>, as `quiver-coordinator op list` lists them.');
}

export function idempotencyKey(text: string): string {
  if (idempotencyKeySchema.safeParse(text).success) return text;
  throw new InvalidArgumentError('Expected 1 to 128 of the characters A-Z a-z 0-9 _ . : -');
}

export function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && value <= 86_400 * 7) return value;
  throw new InvalidArgumentError('Expected a number of seconds.');
}

export function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number.');
}

export function httpUrl(text: string): string {
  const isUrl = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  if (isUrl) return text;
  throw new InvalidArgumentError('Expected http://<host>:<port>.');
}

/** `URL` or `URL,REPLICA,…`, for an argument that may be repeated. */
export function addresses(text: string, before: readonly Address[] = []): readonly Address[] {
  const [primary_url = '', ...replica_urls] = text.split(',').map((each) => httpUrl(each.trim()));
  return [...before, { primary_url, replica_urls }];
}

export interface Address {
  readonly primary_url: string;
  readonly replica_urls: readonly string[];
}

export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** `ID=URL`: the follower that an operation reads a shard from. */
export function source(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, id = '', url = ''] = /^(\d{1,16})=(.+)$/.exec(text) ?? [];
  if (id === '') throw new InvalidArgumentError('Expected <shard id>=<url of a follower>.');
  return { ...before, [id]: httpUrl(url) };
}

export interface ScanOptions {
  readonly source?: Readonly<Record<string, string>>;
  readonly acceptStop?: number;
}

export function scanBody({ source, acceptStop }: ScanOptions): Record<string, unknown> {
  return {
    ...(source === undefined ? {} : { sources: source }),
    ...(acceptStop === undefined ? {} : { accept_stop_s: acceptStop }),
  };
}

/** What every command that starts an operation can be told. */
export function withStartOptions(command: Command): Command {
  return command
    .option('--wait', 'watch it to its end')
    .option('--timeout <seconds>', 'with --wait: end the watching after this time, with exit code 5', seconds)
    .option('--dry-run', 'show what would happen, and change nothing')
    .option('--source <id=url>', 'read this shard from this follower (repeatable)', source)
    .option('--accept-stop <seconds>', 'accept that a primary stands still for this long', seconds)
    .option('--idempotency-key <key>', 'the id becomes <kind>-<key>; a repeat with it starts nothing', idempotencyKey);
}

/**
 * `key=value` words over `fields`, as REST names them. A value is JSON, or else a text; `none` is null.
 * @throws CliError usage
 */
export function settingsOf(words: readonly string[], fields: readonly string[]): Record<string, unknown> {
  const pairs = words.map((word): [string, unknown] => {
    const [, name = '', value = ''] = /^([a-z_]+)=(.+)$/.exec(word) ?? [];
    if (fields.includes(name)) return [name, value === 'none' ? null : valueOf(value)];
    throw usageError(`expected <field>=<value> with a field of ${fields.join(', ')}, got "${word}"`);
  });
  return Object.fromEntries(pairs);
}

function valueOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}
