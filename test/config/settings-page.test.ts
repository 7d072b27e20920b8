import { readFileSync } from 'node:fs';
import { SETTINGS_PAGE, settingsPage } from '../../scripts/settings';
import { SETTINGS } from '../../src/config/settings';

const MEANING_WORDS_MAX = 20;

describe('the settings page', () => {
  it('is what npm run settings writes', () => {
    expect(readFileSync(SETTINGS_PAGE, 'utf8')).toBe(settingsPage());
  });

  it.each(Object.keys(SETTINGS))('has one row for %s', (name) => {
    const rows = settingsPage()
      .split('\n')
      .filter((line) => line.startsWith(`| \`${name}\` `));
    expect(rows).toHaveLength(1);
  });
});

describe('the table of the settings', () => {
  it.each(Object.entries(SETTINGS))('gives the meaning of %s in one short sentence', (_name, { meaning }) => {
    expect(meaning).toMatch(/^[A-Z][^.]*\.$/);
    expect(meaning.split(' ').length).toBeLessThanOrEqual(MEANING_WORDS_MAX);
  });
});
