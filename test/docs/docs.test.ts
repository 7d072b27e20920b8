/** The documents, held against the tree: every path, link and test title that they name is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import ts from 'typescript';

interface Link {
  readonly path: string;
  readonly anchor: string | null;
}
interface Citation {
  readonly file: string;
  readonly title: string;
}

const ROOT = join(__dirname, '../..');
const DOCS = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.md'))
  .map((path) => join('docs', path));
const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...DOCS];
/** A change is told in the words of its release, so it may name what is gone. */
const PAGES_OF_TODAY = PAGES.filter((page) => page !== 'CHANGELOG.md');
const INVARIANTS = 'docs/internals/invariants.md';
/** Where the titles of suites are that several test files run. */
const SHARED_TITLES = ['test/support/suites.ts', 'test/support/script-harness.ts'];

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

function withoutFences(markdown: string): string {
  return markdown.replace(/^ *```[\s\S]*?^ *```$/gm, '');
}

function pathsIn(markdown: string): string[] {
  const found = markdown.matchAll(/`((?:src|test|scripts|docs|bench|demo|deploy)\/[^`\s]*)`/g);
  return [...found].map(([, path = '']) => path);
}

/** Of this repository only. An empty path is the page itself. */
function linksIn(markdown: string): Link[] {
  const prose = withoutFences(markdown).replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor = null] = target.split('#');
    return [{ path, anchor }];
  });
}

/** As GitHub makes them: the second heading of one name ends in `-1`. */
function anchorsIn(markdown: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutFences(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading = '']) => {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replace(/[^\p{L}\p{N}\p{M} _-]/gu, '').replace(/ /g, '-');
    const earlier = seen.get(slug) ?? 0;
    seen.set(slug, earlier + 1);
    return earlier === 0 ? slug : `${slug}-${earlier}`;
  });
}

/** What is wrong with a link, or null. */
function faultOf(page: string, { path, anchor }: Link): string | null {
  const target = path === '' ? page : join(dirname(page), path);
  if (target.startsWith('..') || !existsSync(join(ROOT, target))) return `${page}: no ${target}`;
  if (anchor === null || anchorsIn(read(target)).includes(anchor)) return null;
  return `${page}: no #${anchor} in ${target}`;
}

/** The titles in italics in a table, each with the test file that was named last before it. */
function citationsIn(markdown: string): Citation[] {
  const rows = markdown.split('\n').filter((line) => line.startsWith('|'));
  let file = '';
  return [...rows.join('\n').matchAll(/`(test\/[^`]+\.ts)`|`[^`]*`|(?<![\w*])_([^_\n]+)_(?!\w)/g)].flatMap(
    ([, path, title]) => {
      if (path !== undefined) file = path;
      return title === undefined ? [] : [{ file, title }];
    },
  );
}

/** All strings of a source. A comment does not count. */
function textsIn(source: string): string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (isText(node)) texts.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('any.ts', source, ts.ScriptTarget.Latest));
  return texts;
}

/** A string, a name of a field that is written as one, or the text between two `${}`. */
function isText(node: ts.Node): node is ts.LiteralLikeNode {
  return ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node);
}

/** The strings of a test file, and of the shared suites that it runs. */
function textsOf(file: string): string[] {
  if (!existsSync(join(ROOT, file))) return [];
  const source = read(file);
  const shared = SHARED_TITLES.filter((each) => source.includes(`/support/${basename(each, '.ts')}'`));
  return [source, ...shared.map(read)].flatMap(textsIn);
}

/** The citations whose file has no string with the words of the title. */
function unfounded(citations: readonly Citation[]): Citation[] {
  const texts = new Map([...new Set(citations.map(({ file }) => file))].map((file) => [file, textsOf(file)]));
  return citations.filter(({ file, title }) => texts.get(file)?.some((text) => text.includes(title)) !== true);
}

describe('the documents', () => {
  it.each(PAGES_OF_TODAY)('name only paths that exist in %s', (page) => {
    expect(pathsIn(read(page)).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it.each(PAGES)('link only to what exists in %s', (page) => {
    const faults = linksIn(read(page)).map((link) => faultOf(page, link));
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
  });

  it('cite only titles that their test has', () => {
    const citations = citationsIn(read(INVARIANTS));
    expect(citations.length).toBeGreaterThan(50);
    expect(unfounded(citations)).toEqual([]);
  });
});

describe('the checks of the documents', () => {
  it('find a path in backticks, and no other code', () => {
    expect(pathsIn('`src/gone.ts`, `npm test`, src/bare.ts and `test/replay`')).toEqual(['src/gone.ts', 'test/replay']);
  });

  it('find links, and none in code or to another site', () => {
    const markdown = '[a](b.md#c) [d](#e) [f](https://g.h)\n`[i](j)`\n```\n[k](l)\n```\n';
    expect(linksIn(markdown)).toEqual([
      { path: 'b.md', anchor: 'c' },
      { path: '', anchor: 'e' },
    ]);
  });

  it('make anchors as GitHub does', () => {
    const markdown = '# What `x` is: [it](y), 2–3\n## Again\n```sh\n# comment\n```\n## Again\n';
    expect(anchorsIn(markdown)).toEqual(['what-x-is-it-23', 'again', 'again-1']);
  });

  it('tell a link to a page or an anchor that is gone', () => {
    expect(faultOf('docs/start.md', { path: 'gone.md', anchor: null })).toBe('docs/start.md: no docs/gone.md');
    expect(faultOf('README.md', { path: 'docs/start.md', anchor: 'gone' })).toBe(
      'README.md: no #gone in docs/start.md',
    );
    expect(faultOf('README.md', { path: 'docs/start.md', anchor: null })).toBeNull();
  });

  it('give a title the file that was named last', () => {
    const markdown = '_none_\n| `test/a.ts`: _one_ | `some_code_x` |\n| the same: it _two_; `test/b.ts`: _three_ | |\n';
    expect(citationsIn(markdown)).toEqual([
      { file: 'test/a.ts', title: 'one' },
      { file: 'test/a.ts', title: 'two' },
      { file: 'test/b.ts', title: 'three' },
    ]);
  });

  it('read titles from strings only, whatever quotes they have', () => {
    const source = `// is lost\nit('keeps \\'it\\' when %s', f);\nit("a client's", g);`;
    expect(textsIn(source)).toEqual(["keeps 'it' when %s", "a client's"]);
  });

  it('tell a title and a file that are gone, and take one from a suite that the file runs', () => {
    const file = 'test/campaign/cancelled.quiver.test.ts';
    const right = { file, title: 'leaves the cluster as it was' };
    const wrong = [
      { file, title: 'is a title of no test' },
      { file: 'test/gone.test.ts', title: 'leaves the cluster as it was' },
      // Of the suites, which this file does not run.
      { file: 'test/house.test.ts', title: 'leaves the cluster as it was' },
    ];
    expect(unfounded([right, ...wrong])).toEqual(wrong);
  });
});
