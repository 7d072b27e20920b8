import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cli } from '../support/cli-run';

const hasZsh = spawnSync('zsh', ['--version']).status === 0;
const withZsh = hasZsh ? it : it.skip;
const unlessZsh = hasZsh ? '' : ' (skipped: no zsh here)';

/** What bash offers after these words, the last one being typed. */
async function offered(...words: string[]): Promise<string[]> {
  const { stdout } = await cli(['completion', 'bash']);
  const line = ['quiver-coordinator', ...words];
  const script = `${stdout}
COMP_WORDS=(${line.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_quiver_coordinator; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const run = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(run).toMatchObject({ status: 0, stderr: '' });
  return run.stdout.split('\n').filter((each) => each !== '');
}

/** What lines become by a tab in a real zsh. `how`: the script is sourced, or is a file of fpath. */
async function completedByZsh(how: 'source' | 'fpath', ...lines: string[]): Promise<string[]> {
  const { stdout } = await cli(['completion', 'zsh']);
  const folder = mkdtempSync(join(tmpdir(), 'zsh-'));
  try {
    writeFileSync(join(folder, '_quiver-coordinator'), stdout);
    const typist = join(__dirname, '../support/type-in-zsh.zsh');
    const typed = lines.map((line) => `quiver-coordinator ${line}`);
    const run = spawnSync('zsh', ['-f', typist, folder, how, ...typed], { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    return run.stdout.split('\n').filter((each) => each !== '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the completion', () => {
  it.each(['bash', 'zsh'])('of %s is a script without a mistake in its syntax', async (shell) => {
    const { code, stdout } = await cli(['completion', shell]);
    expect(code).toBe(0);
    const hasZsh = spawnSync('zsh', ['--version']).status === 0;
    const parser = shell === 'zsh' && hasZsh ? 'zsh' : 'bash';
    expect(spawnSync(parser, ['-n'], { input: stdout, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });

  it('offers commands, verbs below them, and options', async () => {
    expect(await offered('dr')).toEqual(['drain']);
    expect(await offered('op', 'pa')).toEqual(['pause']);
    expect(await offered('op', 'cancel', '--d')).toEqual(['--dry-run']);
    expect(await offered('grow', 'http://s2:6333', '--wa')).toEqual(['--wait']);
    expect(await offered('--output', 'json', 'auto')).toEqual(['autoscale']);
    expect(await offered('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh']));
    expect(await offered('map', '--ou')).toEqual(['--output']);
  });

  it('offers what an option may be, and the version only without a command', async () => {
    expect(await offered('--output', '')).toEqual(['table', 'json']);
    expect(await offered('shards', '-o', 'j')).toEqual(['json']);
    expect(await offered('--ver')).toEqual(['--version']);
    expect(await offered('map', '--ver')).toEqual([]);
  });

  withZsh.each(['source', 'fpath'] as const)(`completes in a real zsh, loaded by %s${unlessZsh}`, async (how) => {
    const typed = ['dr', 'op pa', 'op cancel --d', 'grow http://s2:6333 --wa', '--output json auto', 'map -o t'];
    expect(await completedByZsh(how, ...typed)).toEqual(
      [
        'drain',
        'op pause',
        'op cancel --dry-run',
        'grow http://s2:6333 --wait',
        '--output json autoscale',
        'map -o table',
      ].map((line) => `quiver-coordinator ${line} `),
    );
  });
});
