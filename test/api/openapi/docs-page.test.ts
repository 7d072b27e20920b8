import { createHash } from 'node:crypto';
import { docsPage } from '../../../src/api/openapi/docs-page';
import { openApiDocument } from '../../../src/api/openapi/document';
import { ApiServer } from '../../support/api-server';

const DOCUMENT = openApiDocument();
const { html } = docsPage(DOCUMENT);

describe('GET /docs', () => {
  it('is the page, without a key, and allows it nothing but its own style', async () => {
    const api = await ApiServer.start();
    try {
      const { status, text, headers } = await api.call('/docs', { key: null });
      expect([status, headers.get('content-type'), text]).toEqual([200, 'text/html; charset=utf-8', html]);
      const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? '';
      const digest = createHash('sha256').update(style).digest('base64');
      expect(headers.get('content-security-policy')).toBe(
        `default-src 'none'; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    } finally {
      await api.close();
    }
  });

  it('asks for nothing from outside, and has neither scripts nor styles of elements', () => {
    expect(html).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|\ssrc=|\sstyle=|\son[a-z]+=/i);
    expect(
      [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href).filter((href) => !href?.startsWith('#')),
    ).toEqual(['openapi.json']);
  });

  it('shows every route with its role, and every schema', () => {
    for (const [path, methods] of Object.entries(DOCUMENT.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const start = html.indexOf(`<article id="${operation.operationId}">`);
        const article = html.slice(start, html.indexOf('</article>', start));
        expect(article).toContain(`<span class="method">${method.toUpperCase()}</span> <code>${path}</code>`);
        expect(article).toContain(operation['x-role'] === 'none' ? 'no key' : `>${operation['x-role']}<`);
        for (const status of Object.keys(operation.responses)) expect(article).toContain(`<td>${status}</td>`);
      }
    }
    for (const name of Object.keys(DOCUMENT.components.schemas)) expect(html).toContain(`id="schema-${name}"`);
  });

  it('shows the fields of a schema with their types, those inside an object too', () => {
    expect(html).toContain('<code>phases[].started_at</code>');
    expect(html).toContain('<code>waiting.ends_when</code>');
  });

  it('links only to what it has', () => {
    const ids = new Set([...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id));
    const targets = [...html.matchAll(/href="#([^"]*)"/g)].map(([, id]) => id);
    expect(targets.length).toBeGreaterThan(50);
    expect(targets.filter((id) => !ids.has(id))).toEqual([]);
  });

  it('shows markup in the document as text', () => {
    const info = { ...DOCUMENT.info, title: '<b>&"', description: '<script>alert(1)</script>' };
    const shown = docsPage({ ...DOCUMENT, info }).html;
    expect(shown).not.toContain('<script');
    expect(shown).not.toContain('<b>');
  });
});
