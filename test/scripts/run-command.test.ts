import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../scripts/run-command';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'run-command-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A program that makes its file, and then goes on for so long. */
function program(doneFile: string, goesOnMs: number): string[] {
  const script = join(dir, 'program.ts');
  writeFileSync(
    script,
    `require('node:fs').writeFileSync(${JSON.stringify(doneFile)}, ''); setTimeout(() => {}, ${goesOnMs})`,
  );
  return ['tsx', script];
}

describe('runCommand', () => {
  it('ends a program that goes on after it was done, and does not call it ok', async () => {
    const doneFile = join(dir, 'done');
    const result = await runCommand(program(doneFile, 600_000), { doneFile, endWithinMs: 100 });
    expect(result).toMatchObject({ isOk: false, wasEnded: true });
  }, 60_000);

  it('leaves one alone that ends by itself', async () => {
    const doneFile = join(dir, 'done');
    expect(await runCommand(program(doneFile, 0), { doneFile })).toMatchObject({ isOk: true, wasEnded: false });
  }, 60_000);
});
