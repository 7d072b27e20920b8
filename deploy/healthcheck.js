/**
 * Ends with exit code 0 when the API in this container answers 200 to the path given (default /healthz). An own script, because the
 * image has neither curl nor wget.
 */
const [, port = '6333'] = /:(\d+)$/.exec(process.env.QUIVER_REST_ADDR ?? '') ?? [];
const path = process.argv[2] ?? '/healthz';

fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(3_000) })
  .then((response) => process.exit(response.status === 200 ? 0 : 1))
  .catch(() => process.exit(1));
