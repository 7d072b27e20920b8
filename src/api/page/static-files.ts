/** The files of the status page, read once. A browser asks each time whether its copy is still right, so an upgrade shows at once. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Request, Response } from 'express';

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Everything that the page needs comes from here, and nothing else may run or be asked. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; '),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

interface StaticFile {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>;

  constructor(folder = join(__dirname, 'static')) {
    this.#files = new Map(
      readdirSync(folder).flatMap((name) => {
        const type = MEDIA_TYPES[extname(name)];
        if (type === undefined) return [];
        const body = readFileSync(join(folder, name));
        const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
        return [[name, { type, body, etag }] as const];
      }),
    );
  }

  /** Whether there was such a file to answer with. */
  answer(name: string, request: Request, response: Response): boolean {
    const file = this.#files.get(name);
    if (file === undefined) return false;
    response.set({ ...SECURITY_HEADERS, 'Cache-Control': 'no-cache', ETag: file.etag });
    const isKnown = request.headers['if-none-match']?.split(',').some((each) => each.trim() === file.etag) === true;
    if (isKnown) response.status(304).end();
    else response.set('Content-Type', file.type).end(file.body);
    return true;
  }
}
