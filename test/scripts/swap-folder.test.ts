import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { swapFolder } from '../../scripts/swap-folder';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'swap-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function folder(name: string): string {
  mkdirSync(join(dir, name));
  writeFileSync(join(dir, name, 'main.js'), name);
  return join(dir, name);
}
const target = (): string => join(dir, 'dist');
const content = (): string => readFileSync(join(target(), 'main.js'), 'utf8');

describe('swapFolder', () => {
  it('puts the new folder where there was none', async () => {
    await swapFolder(folder('new'), target());
    expect(content()).toBe('new');
    expect(readdirSync(dir)).toEqual(['dist']);
  });

  it('replaces the old folder with all that is in it', async () => {
    writeFileSync(join(folder('dist'), 'gone.js'), '');
    await swapFolder(folder('new'), target());
    expect(readdirSync(target())).toEqual(['main.js']);
    expect(content()).toBe('new');
    expect(readdirSync(dir)).toEqual(['dist']);
  });

  it('leaves one of two folders, whole, when two are put there at once', async () => {
    folder('dist');
    await Promise.all([swapFolder(folder('a'), target()), swapFolder(folder('b'), target())]);
    expect(content()).toMatch(/^[ab]$/);
    expect(readdirSync(dir)).toEqual(['dist']);
  });

  it('leaves the old folder alone when there is no new one', async () => {
    folder('dist');
    await expect(swapFolder(join(dir, 'absent'), target())).rejects.toThrow(/ENOENT/);
    expect(content()).toBe('dist');
  });
});
