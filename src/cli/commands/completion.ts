/** `completion`: what a shell needs to complete commands and options. It is made from the commands themselves. */
import { Argument, type Command } from 'commander';
import type { Runner } from '../context';
import { EXIT } from '../exit';

const SHELLS = ['bash', 'zsh'] as const;
type Shell = (typeof SHELLS)[number];

export function addCompletionCommand(program: Command, runner: Runner): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'load it with: source <(quiver-coordinator completion bash)').choices(SHELLS))
    .action((shell: Shell, _options: unknown, command: Command) =>
      runner.run(command, (context) => {
        context.io.stdout.write(completionScript(program, shell));
        return Promise.resolve(EXIT.done);
      }),
    );
}

/** What may follow `path`, which is a command with its parents, as `op show`; empty for the program. */
interface Words {
  readonly path: string;
  readonly words: readonly string[];
}

export function completionScript(program: Command, shell: Shell): string {
  const cases = wordsOf(program)
    .map(({ path, words }) => `    '${path}') candidates='${words.join(' ')}' ;;`)
    .join('\n');
  const name = program.name();
  const values = valuesOf(program);
  const fn = `_${name.replaceAll('-', '_')}`;
  return shell === 'bash' ? bashScript({ name, fn, cases, values }) : zshScript({ name, fn, cases, values });
}

/** The program first, then each command below it. Options of the program count everywhere, but for its version. */
function wordsOf(program: Command): readonly Words[] {
  const everywhere = optionsOf(program).filter((each) => each !== '--version');
  const walk = (command: Command, path: readonly string[]): readonly Words[] => {
    const below = command.commands.map((each) => each.name());
    const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
    const words = [...new Set([...below, ...choices, ...optionsOf(command), ...everywhere, '--help'])];
    const here = { path: path.join(' '), words };
    return [here, ...command.commands.flatMap((each) => walk(each, [...path, each.name()]))];
  };
  return walk(program, []);
}

function optionsOf(command: Command): string[] {
  return command.options.flatMap((option) => (option.hidden || option.long == null ? [] : [option.long]));
}

/** What may follow an option of the program that has choices: `--output|-o) … ;;`. */
function valuesOf(program: Command): string {
  return program.options
    .flatMap(({ long, short, argChoices }) => {
      const names = [long, short].filter((each) => each != null);
      return argChoices === undefined ? [] : [`    ${names.join('|')}) candidates='${argChoices.join(' ')}' ;;`];
    })
    .join('\n');
}

interface Script {
  readonly name: string;
  readonly fn: string;
  readonly cases: string;
  readonly values: string;
}

/** `$1`: a path of commands; `$2`: the word before the cursor. Fails for what is no path. */
function candidates({ fn, cases, values }: Script): string {
  return `${fn}_candidates() {
  local candidates=''
  case "$1" in
${cases}
    *) return 1 ;;
  esac
  case "$2" in
${values}
  esac
  printf '%s' "$candidates"
}`;
}

/** The longest run of words before the cursor that is a path of commands says what may follow. `at`: the variable for that path. */
function findPath({ words, fn, at }: { words: string; fn: string; at: string }): string {
  return `  local ${at}='' next word
  for word in ${words}; do
    case "$word" in -*) continue ;; esac
    next="\${${at}:+$${at} }$word"
    if ${fn}_candidates "$next" '' >/dev/null; then ${at}="$next"; fi
  done`;
}

function bashScript(script: Script): string {
  const { name, fn } = script;
  return `# bash completion of ${name}
${candidates(script)}
${fn}() {
${findPath({ words: '"${COMP_WORDS[@]:1:COMP_CWORD-1}"', fn, at: 'line' })}
  COMPREPLY=($(compgen -W "$(${fn}_candidates "$line" "\${COMP_WORDS[COMP_CWORD-1]}")" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F ${fn} ${name}
`;
}

function zshScript(script: Script): string {
  const { name, fn } = script;
  return `#compdef ${name}
${candidates(script)}
${fn}() {
${findPath({ words: '"${(@)words[2,CURRENT-1]}"', fn, at: 'line' })}
  compadd -- \${=$(${fn}_candidates "$line" "\${words[CURRENT-1]}")}
}
# As a file of fpath this is the body of a function; else it was sourced.
if [[ \${zsh_eval_context[-1]} == (loadautofunc|shfunc) ]]; then ${fn} "$@"; else compdef ${fn} ${name}; fi
`;
}
