/** docker-compose.yml, as Compose reads it. No engine is needed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface Service {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly restart?: string;
  readonly deploy?: { readonly replicas: number };
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const FILE = join(__dirname, '../../docker-compose.yml');

type Environment = Readonly<Record<string, string>>;

/** What a user cannot leave out. */
const REQUIRED: Environment = { QUIVER_CLUSTER_SHARDS: '[http://shard0:6333,http://shard1:6333]' };

/** As Compose fills them in, after parsing: `${NAME:-default}`, `${NAME:?reason}`. A value is text, whatever it looks like. */
function interpolate(node: unknown, environment: Environment): unknown {
  if (typeof node === 'string') {
    return node.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_all, name: string, kind?: string, text = '') => {
      const value = environment[name] ?? '';
      if (value === '' && kind === '?') throw new Error(`${name}: ${String(text)}`);
      return value === '' && kind === '-' ? String(text) : value;
    });
  }
  if (Array.isArray(node)) return node.map((item) => interpolate(item, environment));
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, interpolate(value, environment)]));
}

export function compose(environment: Environment = REQUIRED): Compose {
  return interpolate(parse(readFileSync(FILE, 'utf8'), { merge: true }), environment) as Compose;
}

export function composeService(name: string, environment: Environment = {}): Service {
  const found = compose({ ...REQUIRED, ...environment }).services[name];
  if (found === undefined) throw new Error(`expected a service ${name} in docker-compose.yml`);
  return found;
}
