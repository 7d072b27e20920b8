/** The command line as an operator types it: the built program, whose lines go where those of the demo go. */
import { spawn } from 'node:child_process';
import { MAIN } from '../test/support/coordinator-process';
import { KEY } from './parts';
import type { Stage } from './stage';

/** What its outputs depend on. */
const OF_THE_TERMINAL = ['PATH', 'HOME', 'TERM', 'NO_COLOR'] as const;

/** True when it ends with exit code 0. */
export async function runCommand(stage: Stage, url: string, words: readonly string[]): Promise<boolean> {
  const { terminal } = stage;
  stage.lines(['', `  ${terminal.paint('bold', `$ quiver-coordinator ${words.join(' ')}`)}`]);
  const environment = OF_THE_TERMINAL.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const child = spawn(process.execPath, [MAIN, ...words], {
    env: { ...Object.fromEntries(environment), COORDINATOR_URL: url, COORDINATOR_KEY: KEY },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('exit', resolve);
  });
  stage.owns(async () => {
    child.kill();
    await ended;
  });
  const exitCode = await ended;
  stage.lines(['']);
  return exitCode === 0;
}
