/** The command line: `quiver-coordinator <verb>`. It talks REST, and loads the service only for the verbs that run it. */
import { Command, CommanderError, Option } from 'commander';
import { ConfigError } from '../config/reader';
import { addAutoscaleCommands } from './commands/autoscale';
import { addClusterCommands } from './commands/cluster';
import { addCompletionCommand } from './commands/completion';
import { addDoctorCommand } from './commands/doctor';
import { addLimitsCommands } from './commands/limits';
import { addMoveCommands } from './commands/moves';
import { addOperationCommands } from './commands/operations';
import { addRecoveryCommands } from './commands/recovery';
import { addRepairCommands } from './commands/repairs';
import { addRouterCommands } from './commands/routers';
import { addServiceCommands } from './commands/service';
import { Context, type GlobalOptions, type Runner } from './context';
import { addExamples } from './examples';
import { CliError, EXIT } from './exit';
import type { CliIo, Output } from './io';
import { plain } from './output/format';

const NAME = 'quiver-coordinator';
const HELP_COLUMNS = 80;
const AFTER_HELP = `
Environment:
  COORDINATOR_URL       the coordinator, default http://127.0.0.1:6333
  COORDINATOR_KEY       the key to present, or
  COORDINATOR_KEY_FILE  a file whose first line is the key
  NO_COLOR              no colours

Exit codes:
  0 done · 1 failed · 2 usage · 3 not reachable · 4 conflict · 5 still running
`;

/** @returns the exit code; never throws for what a person did */
export async function runCli(words: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = EXIT.done;
  const runner: Runner = {
    run: async (command, work) => {
      exitCode = await work(new Context(io, command.optsWithGlobals<GlobalOptions>()));
    },
  };
  try {
    await createProgram(runner, io).parseAsync([...words], { from: 'user' });
    return exitCode;
  } catch (error) {
    return failureOf(error, io.stderr);
  }
}

export function createProgram(runner: Runner, io: Pick<CliIo, 'stdout' | 'stderr' | 'version'>): Command {
  const { stdout, stderr } = io;
  const columnsOf = ({ columns }: Output): number => columns ?? HELP_COLUMNS;
  const program = new Command(NAME)
    .description('Grows, shrinks and repairs a live Quiver cluster without losing a write')
    .version(io.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => columnsOf(stdout),
      getErrHelpWidth: () => columnsOf(stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError(`(${NAME} --help shows all commands)`)
    .addOption(
      new Option('-o, --output <format>', 'how results are printed').choices(['table', 'json']).default('table'),
    )
    .option('--url <url>', 'the coordinator, instead of COORDINATOR_URL')
    .option('--key-file <path>', 'a file with the key, instead of COORDINATOR_KEY_FILE')
    .option('-q, --quiet', 'no progress')
    .addHelpText('after', AFTER_HELP);
  addServiceCommands(program, runner);
  addClusterCommands(program, runner);
  addMoveCommands(program, runner);
  addRepairCommands(program, runner);
  addOperationCommands(program, runner);
  addRouterCommands(program, runner);
  addLimitsCommands(program, runner);
  addAutoscaleCommands(program, runner);
  addRecoveryCommands(program, runner);
  addDoctorCommand(program, runner);
  addCompletionCommand(program, runner);
  addExamples(program);
  return program;
}

/** Says what went wrong, and with which code the process ends. @throws what is a mistake of this program */
function failureOf(error: unknown, stderr: Output): number {
  if (error instanceof CommanderError) {
    // Commander has written already. It ends with 0 after a help or a version that was asked for.
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  if (error instanceof ConfigError) {
    stderr.write(`${error.message}\n`);
    return EXIT.usage;
  }
  if (error instanceof CliError) {
    stderr.write(`${NAME}: ${plain(error.message)}\n`);
    return error.exitCode;
  }
  throw error;
}
