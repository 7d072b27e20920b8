import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program';
import { ClientError } from '../../src/client/calls/errors';
import { DomainError } from '../../src/domain/errors';
import { ApiServer } from '../support/api-server';
import { cli } from '../support/cli-run';

const USAGE = 2;

/** The words of each command, the groups of commands too. */
function pathsOf(command: Command, path: readonly string[] = []): string[][] {
  return command.commands.flatMap((each) => {
    const words = [...path, each.name()];
    return [words, ...pathsOf(each, words)];
  });
}

const silent = { write: () => true };
/** Its commands are parsed, and then not carried out. */
function programOf(onRun: (command: Command) => void): Command {
  const run = (command: Command): Promise<void> => Promise.resolve(onRun(command));
  return createProgram({ run }, { stdout: silent, stderr: silent, version: '0' });
}
const PATHS = pathsOf(programOf(() => undefined)).map((words) => words.join(' '));

/** The words of the command that a line runs. @throws CommanderError when the line is wrong */
async function ranCommand(words: readonly string[]): Promise<string> {
  const ran: string[] = [];
  const program = programOf((command) => {
    for (let at = command; at.parent !== null; at = at.parent) ran.unshift(at.name());
  });
  await program.parseAsync([...words], { from: 'user' });
  return ran.join(' ');
}

describe('the command line', () => {
  it('shows the help of every command on the standard output, with the options of all', async () => {
    expect(PATHS.length).toBeGreaterThan(40);
    for (const path of PATHS) {
      const { code, stdout, stderr } = await cli([...path.split(' '), '--help']);
      expect({ path, code, stderr }).toEqual({ path, code: 0, stderr: '' });
      expect(stdout).toContain(`Usage: quiver-coordinator ${path}`);
      expect(stdout).toContain('--output <format>');
    }
  });

  it('ends the help of every command that does something with examples, which can be typed as they are', async () => {
    const leaves = PATHS.filter((path) => !PATHS.some((other) => other.startsWith(`${path} `)));
    expect(leaves.length).toBeGreaterThan(30);
    for (const path of leaves) {
      const { stdout } = await cli([...path.split(' '), '--help']);
      const [, told = ''] = /\nExamples:\n((?: {2}.+\n)+)/.exec(stdout) ?? [];
      const examples = told.trim().split('\n');
      for (const example of examples) {
        const words = example.trim().split(' ');
        expect([path, words[0]]).toEqual([path, 'quiver-coordinator']);
        expect(await ranCommand(words.slice(1))).toBe(path);
      }
    }
  });

  it.each([
    ['doctor', /Exit codes of this command:\n.*1 an error · 3 no coordinator/],
    ['grow', /Exit codes of this command:\n.*4 refused.* · 5 still running/],
    ['op watch', /Exit codes of this command:\n.*5 still running/],
    ['op cancel', /Exit codes of this command:\n.*with --wait undone/],
    ['serve', /Exit codes of this command:\n.*0 stopped by a signal/],
  ])('tells the exit codes of %s, which differ', async (path, codes) => {
    expect((await cli([...path.split(' '), '--help'])).stdout).toMatch(codes);
  });

  it('describes every command, every argument and every option', () => {
    const undescribed = (command: Command): string[] => [
      ...(command.description() === '' ? [command.name()] : []),
      ...command.registeredArguments.filter((each) => each.description === '').map((each) => each.name()),
      ...command.options.filter((each) => each.description === '').map((each) => `${command.name()} ${each.flags}`),
      ...command.commands.flatMap(undescribed),
    ];
    expect(undescribed(programOf(() => undefined))).toEqual([]);
  });

  it('prints its version', async () => {
    expect(await cli(['--version'])).toEqual({ code: 0, stdout: '1.2.3\n', stderr: '' });
  });

  it('shows help and exit codes when it is asked to, and ends with the code of usage without a command', async () => {
    const asked = await cli(['--help']);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(asked.stdout).toContain('0 done · 1 failed · 2 usage · 3 not reachable · 4 conflict · 5 still running');
    const bare = await cli([]);
    expect(bare).toMatchObject({ code: USAGE, stdout: '' });
    expect(bare.stderr).toContain('Usage: quiver-coordinator');
  });

  it.each([
    ['serv', /unknown command 'serv'[^]*Did you mean serve/],
    ['serve now', /too many arguments/],
    ['op', /^Usage: quiver-coordinator op /],
    ['grow', /missing required argument 'url'/],
    ['grow not-a-url', /Expected http:\/\/<host>:<port>/],
    ['grow ftp://s2', /Expected http:\/\/<host>:<port>/],
    ['drain two', /Expected the number of a shard/],
    ['drain 2 --timeout soon', /Expected a number of seconds/],
    ['op show 7', /Expected <kind>-<key>/],
    ['op pause grow-k', /required option '--reason <text>' not specified/],
    ['op pause grow-k --reason x --until later', /--until: expected a time like/],
    ['op throttle grow-k speed=1', /expected <field>=<value> with a field of max_bytes_per_s/],
    ['autoscale set marks=1', /with a field of enabled, high_water_points/],
    ['restore', /expected either --last-known or --state/],
    ['completion fish', /Allowed choices are bash, zsh/],
    ['map --output yaml', /Allowed choices are table, json/],
    ['map --key secret', /unknown option '--key'/],
    ['map --url not-a-url', /COORDINATOR_URL: expected http/],
    ['map --url http://user:secret@host', /COORDINATOR_URL: .*a user or a password in it/],
    ['map --key-file /nowhere/key', /COORDINATOR_KEY_FILE: .*cannot be read \(ENOENT\)/],
  ])('ends with the code of usage, and says why, on: %s', async (line, reason) => {
    const { code, stdout, stderr } = await cli(line.split(' '));
    expect({ code, stdout }).toEqual({ code: USAGE, stdout: '' });
    expect(stderr).toMatch(reason);
    expect(stderr).not.toContain('secret');
  });

  it('hands over to the service, and ends with its exit code', async () => {
    const roles: string[] = [];
    const run = (role: string): Promise<number> => Promise.resolve(roles.push(role) + 10);
    const codes = ['serve', 'api', 'worker'].map(async (role) => (await cli([role], { services: { run } })).code);
    expect(await Promise.all(codes)).toEqual([11, 12, 13]);
    expect(roles).toEqual(['serve', 'api', 'worker']);
  });

  it('prints where everything is when up is ready, and never a key', async () => {
    const up = await cli(['up', 'http://s0:6333'], {
      services: {
        up: ({ shardUrls, onReady }) => {
          expect(shardUrls).toEqual(['http://s0:6333']);
          onReady({ url: 'http://a:1', webUiUrl: 'http://a:2', key: { kind: 'file', path: '/d/admin.key' } });
          return Promise.resolve(0);
        },
      },
    });
    expect(up.code).toBe(0);
    expect(up.stdout.trimEnd().split('\n')).toEqual([
      'API          http://a:1',
      'Status page  http://a:1/',
      'Web UI       http://a:2',
      'Go on        export COORDINATOR_URL=http://a:1 COORDINATOR_KEY_FILE=/d/admin.key && quiver-coordinator status',
    ]);
  });
});

describe('the exit code', () => {
  let api: ApiServer;
  beforeEach(async () => {
    api = await ApiServer.start();
  });
  afterEach(() => api.close());

  it('is 3 where nothing listens', async () => {
    const { url } = api;
    await api.close();
    const { code, stderr } = await cli(['map'], { url });
    expect(code).toBe(3);
    expect(stderr).toContain(`expected a coordinator at ${url}, got ECONNREFUSED: start it, or set COORDINATOR_URL`);
    api = await ApiServer.start();
  });

  it('is 1 for a wrong key, with what to do', async () => {
    const { code, stderr } = await cli(['map'], { url: api.url, key: 'wrong-key' });
    expect(code).toBe(1);
    expect(stderr).toContain('set COORDINATOR_KEY or COORDINATOR_KEY_FILE');
    expect(stderr).not.toContain('wrong-key');
  });

  it('is 1 for a route that the coordinator does not have, and says that it is older', async () => {
    for (const words of [['limits'], ['routers'], ['op', 'resume', 'grow-k'], ['grow', 'http://s2', '--dry-run']]) {
      // No coordinator has anything below this path, also none of a later version.
      const { code, stdout, stderr } = await cli(words, { url: `${api.url}/prefix` });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain('this coordinator is older than this command');
    }
    expect(api.client.started).toEqual([]);
  });

  it('is 2 for a request that can never succeed, 4 for a conflict and 3 without a Temporal', async () => {
    const answers = [
      [new DomainError('LastShard', 'it is the last one'), 2],
      [new DomainError('OperationInProgress', 'grow-x holds the lock'), 4],
      [new ClientError('TemporalUnreachable', 'no Temporal'), 3],
    ] as const;
    for (const [error, expected] of answers) {
      api.client.startOperation = () => Promise.reject(error);
      const { code, stderr } = await cli(['drain', '1', '--yes'], { url: api.url });
      expect(code).toBe(expected);
      expect(stderr).toContain(error.message);
    }
  });

  it('is 3 for a server that is no coordinator', async () => {
    const other = createServer((_request, response) => void response.end('<html>hello</html>'));
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await cli(['map'], { url: `http://127.0.0.1:${port}` });
    expect(code).toBe(3);
    expect(stderr).toContain('expected JSON of a coordinator');
    other.close();
  });
});
