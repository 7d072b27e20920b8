/** A collector of spans in the test process: takes OTLP over HTTP as protobuf, and keeps what it was sent. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Null: it began its trace. */
  readonly parentId: string | null;
  readonly name: string;
  /** 2: server, 5: consumer. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly isError: boolean;
  readonly resource: Readonly<Record<string, string | number>>;
}

export class SpanCollector {
  readonly spans: CollectedSpan[] = [];
  /** Everything that was sent, as it came. */
  readonly bodies: Buffer[] = [];
  requests = 0;
  private readonly server: Server;

  /** `hangs`: it takes connections, and never answers. */
  static async start({ hangs = false } = {}): Promise<SpanCollector> {
    const collector = new SpanCollector(hangs);
    await new Promise<void>((resolve) => collector.server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  private constructor(hangs: boolean) {
    this.server = createServer((request, response) => {
      this.requests += 1;
      if (hangs) return;
      void bodyOf(request).then((body) => {
        this.bodies.push(body);
        if (request.url === '/v1/traces') this.spans.push(...spansIn(body));
        response.writeHead(200, { 'Content-Type': 'application/x-protobuf' }).end();
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
}

// ---- Protobuf, as far as spans need it: fields by number, each as often as it is there. ----

type Field = Buffer | bigint;

function fieldsOf(message: Buffer): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const bytes = (length: number): Buffer => message.subarray(at, (at += length));
  while (at < message.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    const value = wire === 0 ? varint() : bytes(wire === 1 ? 8 : wire === 5 ? 4 : Number(varint()));
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

const messages = (of: Map<number, Field[]>, field: number): Buffer[] =>
  (of.get(field) ?? []).filter((each) => Buffer.isBuffer(each));
const first = (of: Map<number, Field[]>, field: number): Field | undefined => of.get(field)?.[0];
const hex = (field: Field | undefined): string => (Buffer.isBuffer(field) ? field.toString('hex') : '');
const text = (field: Field | undefined): string => (Buffer.isBuffer(field) ? field.toString('utf8') : '');

function spansIn(request: Buffer): CollectedSpan[] {
  return messages(fieldsOf(request), 1).flatMap((resourceSpans) => {
    const ofResource = fieldsOf(resourceSpans);
    const [described = Buffer.alloc(0)] = messages(ofResource, 1);
    const resource = attributesIn(fieldsOf(described), 1);
    const ofScopes = messages(ofResource, 2).flatMap((scope) => messages(fieldsOf(scope), 2));
    return ofScopes.map((span) => spanOf(fieldsOf(span), resource));
  });
}

function spanOf(span: Map<number, Field[]>, resource: CollectedSpan['resource']): CollectedSpan {
  const [status = Buffer.alloc(0)] = messages(span, 15);
  return {
    traceId: hex(first(span, 1)),
    spanId: hex(first(span, 2)),
    parentId: hex(first(span, 4)) || null,
    name: text(first(span, 5)),
    kind: Number(first(span, 6) ?? 0),
    attributes: attributesIn(span, 9),
    isError: first(fieldsOf(status), 3) === 2n,
    resource,
  };
}

function attributesIn(of: Map<number, Field[]>, field: number): Record<string, string | number> {
  const pairs = messages(of, field).map((each) => {
    const pair = fieldsOf(each);
    const [value = Buffer.alloc(0)] = messages(pair, 2);
    const any = fieldsOf(value);
    const whole = first(any, 3);
    return [text(first(pair, 1)), typeof whole === 'bigint' ? Number(whole) : text(first(any, 1))] as const;
  });
  return Object.fromEntries(pairs);
}
