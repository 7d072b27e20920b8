import { spawnSync } from 'node:child_process';
import { cli } from '../support/cli-run';

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
});
