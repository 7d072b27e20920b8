import { InterceptingCall, Metadata, status, type Interceptor } from '@grpc/grpc-js';
import { Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Config } from '../config';

/** No Temporal answered for as long as a start may take. */
export class TemporalUnreachableError extends Error {
  constructor(address: string, waitedMs: number, cause: unknown) {
    const reason = cause instanceof Error ? (cause.message.split('\n', 1)[0] ?? '') : String(cause);
    super(
      `TEMPORAL_ADDRESS: expected a Temporal server that answers at ${address}, got none for ${waitedMs} ms (${reason}): ` +
        'start it, or correct the TEMPORAL_ settings',
      { cause },
    );
    this.name = 'TemporalUnreachableError';
  }
}

export interface ConnectOptions {
  readonly address: string;
  readonly connection: Config['temporal']['connection'];
  readonly namespace: string;
  readonly logger: Logger;
  readonly patienceMs?: number;
}

const CONNECT_PATIENCE_MS = 60_000;
const ATTEMPT_TIMEOUT_MS = 5_000;
const PAUSE_MS = 500;

/** Connects for calls, as soon as the namespace answers. @throws TemporalUnreachableError */
export function connectClient(options: ConnectOptions): Promise<Connection> {
  return untilAnswered(options, async () => {
    const { tls, apiKey, metadata } = options.connection;
    const connection = await Connection.connect({
      address: options.address,
      connectTimeout: ATTEMPT_TIMEOUT_MS,
      interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), endCallOnceClosed],
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    });
    try {
      await connection.withDeadline(Date.now() + ATTEMPT_TIMEOUT_MS, () =>
        connection.workflowService.describeNamespace({ namespace: options.namespace }),
      );
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  });
}

/**
 * Ends a call that is repeated after its connection was closed.
 * The SDK repeats it from a timer, where the closed channel's error would be nobody's and end the process.
 */
const endCallOnceClosed: Interceptor = (options, nextCall) => {
  try {
    return new InterceptingCall(nextCall(options));
  } catch (error) {
    if (error instanceof Error && error.message === CLOSED) return new InterceptingCall(ENDED_CALL);
    throw error;
  }
};

/** How @grpc/grpc-js calls a channel that was closed. */
const CLOSED = 'Channel has been shut down';
const ignore = (): void => undefined;
const ENDED_CALL: ConstructorParameters<typeof InterceptingCall>[0] = {
  start: (_metadata, listener) => {
    listener?.onReceiveMessage?.(null);
    // Not what the call was sent with: that holds the key, and becomes a part of the error.
    const metadata = new Metadata();
    listener?.onReceiveStatus?.({ code: status.CANCELLED, details: 'the connection to Temporal was closed', metadata });
  },
  sendMessage: ignore,
  sendMessageWithContext: ignore,
  startRead: ignore,
  halfClose: ignore,
  cancelWithStatus: ignore,
  getPeer: () => '',
  getAuthContext: () => null,
};

/** Connects a worker. @throws TemporalUnreachableError */
export function connectWorker(options: ConnectOptions): Promise<NativeConnection> {
  return untilAnswered(options, () => NativeConnection.connect({ ...options.connection, address: options.address }));
}

/** A Temporal that starts beside this process may take a while. If it never comes, the log says so. */
async function untilAnswered<T>(options: ConnectOptions, attempt: () => Promise<T>): Promise<T> {
  const patienceMs = options.patienceMs ?? CONNECT_PATIENCE_MS;
  const beganMs = Date.now();
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt();
    } catch (error) {
      const waitedMs = Date.now() - beganMs;
      if (waitedMs >= patienceMs) throw new TemporalUnreachableError(options.address, waitedMs, error);
      if (attempts === 3) options.logger.warn({ address: options.address }, 'waiting for Temporal to answer');
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
