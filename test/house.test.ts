/** The plan of the house, held against src: who imports whom, no circle, and no room that is too full. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

interface Look {
  readonly room: string | null;
  readonly entry: string | null;
}
interface House {
  readonly HOUSE: Readonly<Record<string, { readonly rooms: readonly string[]; readonly packages: readonly string[] }>>;
  readonly look: (file: string, specifier: string) => Look;
  readonly refusalOf: (file: string, specifier: string) => string | null;
}

const { HOUSE, look, refusalOf } = createRequire(__filename)('../house.config.cjs') as House;

const SRC = join(__dirname, '../src');
const FILES_PER_FOLDER_MAX = 12;
/** Pure functions, and the one client of our own workflows: many small files each, and no second purpose among them to split them by. */
const LARGE_FOLDERS = ['domain'];

interface Import {
  readonly file: string;
  readonly specifier: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => join(SRC, path));
const imports = files.flatMap(importsOf);

/** All of them: `import type`, `import()` and `export … from` too. */
function importsOf(file: string): Import[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'));
  return importedFiles.map(({ fileName }) => ({ file, specifier: fileName }));
}

/** The file of src that a relative import names. */
function targetOf({ file, specifier }: Import): string | null {
  if (!specifier.startsWith('.')) return null;
  const path = resolve(dirname(file), specifier);
  return [`${path}.ts`, join(path, 'index.ts')].find((each) => files.includes(each)) ?? null;
}

function shown(file: string): string {
  return relative(SRC, file);
}

/** The first circle that a walk along the imports comes to, as a list of files whose last one is the first again. */
function findCircle(targets: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const target of targets.get(file) ?? []) {
      const circle = walk(target, [...path, file]);
      if (circle !== null) return circle;
    }
    done.add(file);
    return null;
  };
  for (const file of targets.keys()) {
    const circle = walk(file, []);
    if (circle !== null) return circle;
  }
  return null;
}

describe('the house', () => {
  it('has a row for every folder at the top of src', () => {
    const folders = readdirSync(SRC, { withFileTypes: true }).filter((each) => each.isDirectory());
    const rows = Object.keys(HOUSE).filter((room) => !room.includes('/'));
    expect(rows.sort()).toEqual(folders.map(({ name }) => name).sort());
  });

  it('has only rows of folders that exist', () => {
    const folders = files.map((file) => shown(dirname(file)));
    const missing = Object.keys(HOUSE).filter((room) => !folders.some((each) => each === room || isBelow(each, room)));
    expect(missing).toEqual([]);
  });

  it('lets a file import only what the row of its room allows', () => {
    const refusals = imports.map(({ file, specifier }) => {
      const refusal = refusalOf(file, specifier);
      return refusal === null ? null : `${shown(file)}: ${refusal}`;
    });
    expect(refusals.filter((refusal) => refusal !== null)).toEqual([]);
  });

  it('refuses an import that points to the left, and a package that only another room may use', () => {
    const frame = join(SRC, 'activities/frame/attempt.ts');
    expect(refusalOf(frame, '../move/copy-page')).toContain('src/activities/frame must not import');
    expect(refusalOf(frame, '../../domain/limits')).toBeNull();
    const transition = join(SRC, 'domain/lock-transitions.ts');
    expect(refusalOf(transition, 'zod')).toContain('it may import nothing');
    expect(refusalOf(transition, 'node:fs')).not.toBeNull();
    expect(refusalOf(transition, './shard-map')).toBeNull();
  });

  it('allows nothing that no import uses', () => {
    const used = new Set(imports.map(({ file, specifier }) => look(file, specifier)).map(nameOf));
    const allowed = Object.entries(HOUSE).flatMap(([room, { rooms, packages }]) =>
      [...rooms, ...packages].map((entry) => nameOf({ room, entry })),
    );
    expect(allowed.filter((name) => !used.has(name))).toEqual([]);
  });

  it('has no circle of imports, those of types included', () => {
    const targets = new Map(files.map((file) => [file, [] as string[]]));
    for (const each of imports) {
      const target = targetOf(each);
      if (target !== null) targets.get(each.file)?.push(target);
    }
    expect(findCircle(targets)?.map(shown) ?? null).toBeNull();
  });

  it('finds a circle where there is one', () => {
    const targets = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b']],
    ]);
    expect(findCircle(targets)).toEqual(['b', 'c', 'b']);
  });

  it(`has at most ${FILES_PER_FOLDER_MAX} files in a folder, except ${LARGE_FOLDERS.join(' and ')}`, () => {
    const counts = new Map<string, number>();
    for (const file of files) counts.set(shown(dirname(file)), (counts.get(shown(dirname(file))) ?? 0) + 1);
    const full = [...counts].filter(
      ([folder, count]) => count > FILES_PER_FOLDER_MAX && !LARGE_FOLDERS.includes(folder),
    );
    expect(full).toEqual([]);
  });
});

function isBelow(folder: string, room: string): boolean {
  return folder.startsWith(`${room}/`);
}

function nameOf({ room, entry }: Look): string {
  return `${room} → ${entry}`;
}
