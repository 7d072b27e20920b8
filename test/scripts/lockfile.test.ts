/** What is installed is what was looked at: every package has a hash, and a licence that the program may be shipped with. */
import { readFileSync } from 'node:fs';
import { LICENCES_PAGE, licenceOf, licencesPage, lockedPackages } from '../../scripts/licences';

const MAY_BE_SHIPPED = new Set([
  '0BSD',
  'Apache-2.0',
  'Apache-2.0 AND MIT',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC-BY-4.0',
  'ISC',
  'MIT',
  'Unlicense',
]);

describe('package-lock.json', () => {
  it('has a hash for each package that this program can install', () => {
    // A registry that lacks a package for another system cannot give its hash: npm takes none of them here.
    const without = lockedPackages().filter(
      ({ integrity, optional, os }) => !(optional === true && os !== undefined) && !/^sha512-/.test(integrity ?? ''),
    );
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  it('lacks hashes only of build tools', () => {
    const without = lockedPackages().filter(({ integrity }) => integrity === undefined);
    const shipped = without.filter(({ name }) => !/^(@swc\/core|@unrs\/resolver-binding)-/.test(name));
    expect(shipped.map(({ name }) => name)).toEqual([]);
  });

  it('has only licences that may be shipped', () => {
    const shipped = lockedPackages().filter(({ dev }) => dev !== true);
    expect(
      shipped.filter((each) => !MAY_BE_SHIPPED.has(licenceOf(each))).map((each) => [each.name, licenceOf(each)]),
    ).toEqual([]);
  });
});

describe('docs/reference/licences.md', () => {
  it('lists them', () => {
    expect(readFileSync(LICENCES_PAGE, 'utf8')).toBe(licencesPage());
  });
});
