/** Calls of the coordinator's REST API, as everybody else makes them, with the session cookie as the key. */
import { noteServerTime } from './dom.js';

const PATIENCE_MS = 30_000;

/** An answer that is an error. `status` 0: there was no answer at all. */
export class Refusal extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** The JSON of the answer. @throws Refusal */
export async function ask(path, { method = 'GET', body, form, idempotencyKey } = {}) {
  return (await answerTo(path, { method, body, form, idempotencyKey })).json;
}

/** The same with the headers. @throws Refusal */
export async function answerTo(path, { method = 'GET', body, form, idempotencyKey } = {}) {
  // Without this header, a change with the cookie is refused: another site cannot send it. A page that reads the map is no router.
  const headers = { Accept: 'application/json', 'X-Coordinator-Page': '1' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (idempotencyKey !== undefined) headers['Idempotency-Key'] = idempotencyKey;
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
      cache: 'no-store',
      credentials: 'same-origin',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    text = await response.text();
  } catch {
    throw new Refusal(0, 'NoAnswer', 'The coordinator does not answer.');
  }
  noteServerTime(response.headers.get('date'));
  const json = parse(text);
  if (response.ok) return { json, headers: response.headers };
  throw new Refusal(response.status, json?.code ?? 'Unknown', json?.detail ?? `the answer was ${response.status}`);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Chance that also a page without TLS has, where `crypto.randomUUID` is missing. */
export function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
