/** `npm run licences`: writes docs/reference/licences.md from package-lock.json. A test fails when the page is older. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..');
export const LICENCES_PAGE = join(ROOT, 'docs', 'reference', 'licences.md');

export interface LockedPackage {
  readonly name: string;
  readonly integrity?: string;
  readonly license?: string;
  /** Not installed by who runs the program. */
  readonly dev?: boolean;
  /** Only on some systems, which `os` and `cpu` name. */
  readonly optional?: boolean;
  readonly os?: readonly string[];
}

/** Its package.json names none. Read in its LICENSE file. */
const READ_BY_HAND: Readonly<Record<string, string>> = { unionfs: 'Unlicense' };

export function lockedPackages(): readonly LockedPackage[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Omit<LockedPackage, 'name'>>;
  };
  return Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .map(([path, locked]) => ({
      ...locked,
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    }));
}

export function licenceOf({ name, license }: LockedPackage): string {
  return license ?? READ_BY_HAND[name] ?? 'unknown';
}

/** Of what is installed with the program. Versions are in package-lock.json. */
export function licencesPage(): string {
  const byLicence = new Map<string, Set<string>>();
  for (const locked of lockedPackages().filter(({ dev }) => dev !== true)) {
    const names = byLicence.get(licenceOf(locked)) ?? new Set();
    byLicence.set(licenceOf(locked), names.add(locked.name));
  }
  const sections = [...byLicence].sort().map(([licence, names]) => {
    const list = [...names].sort().map((name) => `- ${name}`);
    return [`## ${licence}`, '', ...list].join('\n');
  });
  const introduction = [
    '# Licences of dependencies',
    '',
    '<!-- `npm run licences` writes this page from package-lock.json. -->',
    '',
    'What is installed with the program, by licence. Programs that tests and build use are not in it.',
  ].join('\n');
  return `${[introduction, ...sections].join('\n\n')}\n`;
}

if (require.main === module) {
  writeFileSync(LICENCES_PAGE, licencesPage());
  console.log('wrote docs/reference/licences.md');
}
