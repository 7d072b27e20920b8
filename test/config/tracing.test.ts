import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig } from '../../src/config';

const load = (environment: Record<string, string>) =>
  loadConfig({ QUIVER_INSECURE: 'true', TEMPORAL_CONFIG_FILE: join(tmpdir(), 'no-such.toml'), ...environment }).tracing;
const ON = { COORDINATOR_TRACING: 'otlp' };

describe('tracing', () => {
  it('is on by its own setting alone: names of OpenTelemetry are set for all programs of a machine', () => {
    expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', OTEL_TRACES_EXPORTER: 'otlp' })).toBe('off');
    expect(load(ON)).toBe('otlp');
    expect(load({ ...ON, OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318' })).toBe('otlp');
    expect(load({ ...ON, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_TRACES_SAMPLER: 'always_on' })).toBe(
      'otlp',
    );
  });

  it.each([
    ['OTEL_SDK_DISABLED', 'true'],
    ['OTEL_SDK_DISABLED', 'TRUE'],
    ['OTEL_TRACES_EXPORTER', 'none'],
  ])('is off again by %s=%s', (name, value) => {
    expect(load({ ...ON, [name]: value })).toBe('off');
    expect(load({ ...ON, [name]: ' ' })).toBe('otlp');
  });

  it.each([
    [{ COORDINATOR_TRACING: 'on' }, /^COORDINATOR_TRACING: expected off or otlp, got "on": leave it out for off$/],
    [{ ...ON, OTEL_TRACES_EXPORTER: 'jaeger' }, /^OTEL_TRACES_EXPORTER: expected otlp or none, got jaeger: /],
    [
      { ...ON, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      /^OTEL_EXPORTER_OTLP_PROTOCOL: expected http\/protobuf, got grpc: /,
    ],
    [{ ...ON, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' }, /^OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: /],
    [
      { ...ON, OTEL_EXPORTER_OTLP_ENDPOINT: 'u:hush@collector:4318' },
      /^OTEL_EXPORTER_OTLP_ENDPOINT: .*, got something else: /,
    ],
    [{ ...ON, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'hush' }, /^OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: [^h]*http:/],
  ])('that cannot be as %j ends the start with one line', (environment: Record<string, string>, line) => {
    const complaint = (): unknown => load(environment);
    expect(complaint).toThrow(ConfigError);
    expect(complaint).toThrow(line);
    expect(complaint).not.toThrow(/hush/);
  });

  it('does not look at what it does not use', () => {
    expect(load({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_ENDPOINT: 'hush' })).toBe('off');
  });
});
