/** What the help of each command ends with: examples that can be typed as they are, and the exit codes that differ. */
import type { Command } from 'commander';

interface Help {
  /** Without the name of the program. */
  readonly examples: readonly [string, ...string[]];
  /** Beside those of all commands, which the help of the program lists. */
  readonly exits?: string;
}

const STARTS = '1 it failed or was cancelled · 4 refused, also by --dry-run · 5 still running: Ctrl-C or --timeout';
const SERVES = '0 stopped by a signal · 1 could not start or go on · 2 a wrong setting';

/** By the words of the command. A test wants one for each, and runs every example through the parser. */
const HELP: Readonly<Record<string, Help>> = {
  serve: { examples: ['serve'], exits: SERVES },
  api: { examples: ['api'], exits: SERVES },
  worker: { examples: ['worker'], exits: SERVES },
  up: { examples: ['up http://127.0.0.1:7000 http://127.0.0.1:7001', 'up'], exits: SERVES },
  status: { examples: ['status'] },
  map: { examples: ['map', 'map --output json'] },
  shards: { examples: ['shards'] },
  grow: {
    examples: [
      'grow http://127.0.0.1:7002 --dry-run',
      'grow http://127.0.0.1:7002 --wait',
      'grow http://127.0.0.1:7002,http://127.0.0.1:7102 --idempotency-key add-s2',
    ],
    exits: STARTS,
  },
  drain: { examples: ['drain 2 --dry-run', 'drain 2 --wait --yes'], exits: STARTS },
  check: { examples: ['check --wait', 'check --collection docs'], exits: STARTS },
  repair: { examples: ['repair --dry-run', 'repair --wait --yes --prefer 0'], exits: STARTS },
  'op list': { examples: ['op list --limit 5'] },
  'op show': { examples: ['op show', 'op show grow-add-s2'], exits: '1 no operation runs, and none was named' },
  'op watch': {
    examples: ['op watch', 'op watch grow-add-s2 --timeout 600'],
    exits: '1 it failed or was cancelled, or none runs · 5 still running: Ctrl-C or --timeout',
  },
  'op cancel': {
    examples: ['op cancel grow-add-s2 --dry-run', 'op cancel grow-add-s2 --wait --yes'],
    exits:
      '0 accepted; with --wait undone · 1 it could not be undone · 4 too late, also by --dry-run · 5 still running: Ctrl-C or --timeout',
  },
  'op pause': { examples: ['op pause grow-add-s2 --reason backup --until 30m'] },
  'op resume': { examples: ['op resume grow-add-s2'] },
  'op throttle': {
    examples: ['op throttle grow-add-s2 max_rows_per_s=5000', 'op throttle grow-add-s2 max_rows_per_s=none'],
  },
  'routers list': { examples: ['routers', 'routers list --output json'] },
  'routers add': { examples: ['routers add http://127.0.0.1:7010'] },
  'routers remove': { examples: ['routers remove http://127.0.0.1:7010 --yes'] },
  'routers set': { examples: ['routers set http://127.0.0.1:7010 http://127.0.0.1:7011 --yes'] },
  'limits show': { examples: ['limits'] },
  'limits set': { examples: ['limits set max_bytes_per_s=10000000', 'limits set active_from=22:00 active_to=06:00'] },
  'autoscale show': { examples: ['autoscale'] },
  'autoscale set': { examples: ['autoscale set enabled=true high_water_points=1000000'] },
  'autoscale evaluate': { examples: ['autoscale evaluate --dry-run', 'autoscale evaluate --yes'] },
  'standbys list': { examples: ['standbys'] },
  'standbys add': { examples: ['standbys add http://127.0.0.1:7003'] },
  'standbys remove': { examples: ['standbys remove http://127.0.0.1:7003 --yes'] },
  restore: { examples: ['restore --last-known --yes', 'restore --state state.json --yes'] },
  'identities remove': { examples: ['identities remove --yes'] },
  'identities adopt': { examples: ['identities adopt'] },
  doctor: {
    examples: ['doctor', 'doctor --json'],
    exits: '0 no error; warnings may be there · 1 an error · 3 no coordinator answers',
  },
  completion: { examples: ['completion bash', 'completion zsh'] },
};

export function addExamples(program: Command): void {
  const walk = (command: Command, path: readonly string[]): void => {
    for (const each of command.commands) walk(each, [...path, each.name()]);
    const help = HELP[path.join(' ')];
    if (help !== undefined) command.addHelpText('after', textOf(program.name(), help));
  };
  walk(program, []);
}

function textOf(name: string, { examples, exits }: Help): string {
  const lines = examples.map((each) => `  ${name} ${each}`);
  const codes = exits === undefined ? '' : `\nExit codes of this command:\n  ${exits}\n`;
  return `\nExamples:\n${lines.join('\n')}\n${codes}`;
}
