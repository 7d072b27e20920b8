/** Whether spans are recorded. Where they go say the standard names of OpenTelemetry, which its own library reads. */
import { ConfigError, type SettingReader } from './reader';
import { TRACING, type Tracing } from './settings';

const NAME = 'COORDINATOR_TRACING';
/** What the standard calls the form that this program sends. */
const PROTOCOL = 'http/protobuf';

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws ConfigError, also for a standard name that asks for what this program does not do */
export function readTracing(reader: SettingReader, environment: Environment): Tracing {
  // Unquoted, YAML takes `off` for a boolean.
  const given = reader.text(NAME);
  const text = given === 'false' ? 'off' : given;
  const tracing = TRACING.find((each) => each === text);
  if (tracing === undefined) throw reader.error(NAME, text);
  const named = (name: string): string | null => environment[name]?.trim() || null;
  if (tracing === 'off' || named('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return 'off';
  if (named('OTEL_TRACES_EXPORTER') === 'none') return 'off';
  requireOtlp(named);
  return tracing;
}

function requireOtlp(named: (name: string) => string | null): void {
  const exporter = named('OTEL_TRACES_EXPORTER') ?? 'otlp';
  if (exporter !== 'otlp') throw refusal('OTEL_TRACES_EXPORTER', 'otlp or none', exporter);
  // The name for traces counts where both are given.
  const counts = (forTraces: string, forAll: string): string => (named(forTraces) === null ? forAll : forTraces);
  const ofProtocol = counts('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL');
  const protocol = named(ofProtocol) ?? PROTOCOL;
  if (protocol !== PROTOCOL) throw refusal(ofProtocol, PROTOCOL, protocol);
  const ofEndpoint = counts('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT');
  const url = named(ofEndpoint);
  // It may hold a password, so it is not shown.
  if (url !== null && !isHttpUrl(url)) throw refusal(ofEndpoint, 'http://<host>:<port> or https://…', 'something else');
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}

function refusal(name: string, expected: string, seen: string): ConfigError {
  return new ConfigError(`${name}: expected ${expected}, got ${seen}: correct it, or set ${NAME}=off`);
}
