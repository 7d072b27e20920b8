/**
 * Reads one URL over and over on a number of keep-alive connections and tells what it saw, as one line of JSON. A process of its
 * own, on plain sockets, so that it takes as little as it can of the cores that it shares with what it measures.
 *
 *   node load-generator.cjs <url> <key> <connections> <warm-up ms> <measured ms>
 *
 * Each connection sends its next request when it has the whole answer to the last one. An answer other than 200 with a
 * Content-Length is an error, and so is a connection that ends.
 */
const { connect } = require('node:net');

const [, , address, key, connectionsText, warmUpText, measuredText] = process.argv;
const url = new URL(address);
const [connections, warmUpMs, measuredMs] = [connectionsText, warmUpText, measuredText].map(Number);
const request = Buffer.from(
  `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${key}\r\nConnection: keep-alive\r\n\r\n`,
);
const HEAD_END = '\r\n\r\n';

const startMs = performance.now() + warmUpMs;
const endMs = startMs + measuredMs;
let latencies = new Float64Array(1_000_000);
let count = 0;
let errors = 0;
let stale = 0;

function record(latencyMs) {
  if (count === latencies.length) {
    const larger = new Float64Array(count * 2);
    larger.set(latencies);
    latencies = larger;
  }
  latencies[count++] = latencyMs;
}

/** Bytes of the answer that begins with `head`, or 0 while its head is not complete. */
function answerBytes(buffer) {
  const headEnd = buffer.indexOf(HEAD_END);
  if (headEnd < 0) return 0;
  const head = buffer.toString('latin1', 0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (!head.startsWith('HTTP/1.1 200') || length === null) {
    errors += 1;
    if (errors === 1) console.error(head.split('\r\n', 1)[0]);
  }
  if (/\r\ncoordinator-map-stale:/i.test(head)) stale += 1;
  return headEnd + HEAD_END.length + Number(length?.[1] ?? 0);
}

function read() {
  return new Promise((resolve) => {
    const socket = connect(Number(url.port), url.hostname);
    socket.setNoDelay(true);
    let received = null;
    let sentMs = 0;
    let isDone = false;
    const send = () => {
      sentMs = performance.now();
      if (sentMs >= endMs) {
        isDone = true;
        socket.end();
        return;
      }
      socket.write(request);
    };
    socket.on('connect', send);
    socket.on('data', (chunk) => {
      received = received === null ? chunk : Buffer.concat([received, chunk]);
      const bytes = answerBytes(received);
      if (bytes === 0 || received.length < bytes) return;
      const nowMs = performance.now();
      if (sentMs >= startMs && nowMs <= endMs) record(nowMs - sentMs);
      received = null;
      send();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (!isDone) errors += 1;
      resolve();
    });
  });
}

Promise.all(Array.from({ length: connections }, read)).then(() => {
  const sorted = latencies.subarray(0, count).sort();
  const percentile = (share) => sorted[Math.min(count - 1, Math.floor(count * share))] ?? null;
  const { user, system } = process.cpuUsage();
  console.log(
    JSON.stringify({
      reads: count,
      readsPerSecond: (count / measuredMs) * 1_000,
      errors,
      stale,
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      maxMs: sorted[count - 1] ?? null,
      cpuMs: (user + system) / 1_000,
    }),
  );
});
