/** One request to a shard, a router or the coordinator, with the key that all of them know. */
import { request } from 'undici';

export const KEY = 'bench-key';
const TIMEOUT_MS = 900_000;

/** Anything but a 2xx. */
export class AnswerError extends Error {
  readonly status: number;

  constructor(call: string, status: number, text: string) {
    super(`${call} answered ${status}: ${text.slice(0, 300)}`);
    this.name = 'AnswerError';
    this.status = status;
  }
}

/** @throws AnswerError */
export async function call(method: 'GET' | 'POST' | 'DELETE', url: string, body?: string): Promise<unknown> {
  const answer = await request(url, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body }),
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  const text = await answer.body.text();
  if (answer.statusCode < 200 || answer.statusCode > 299) {
    throw new AnswerError(`${method} ${url}`, answer.statusCode, text);
  }
  return text.startsWith('{') || text.startsWith('[') ? (JSON.parse(text) as unknown) : text;
}
