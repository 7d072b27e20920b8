/** `doctor`: looks at everything that the coordinator can tell, and says what to do. */
import type { Command } from 'commander';
import { loadClientConfig } from '../../config/client-settings';
import type { Context, Runner } from '../context';
import { EXIT, type ExitCode } from '../exit';
import { bad, reportOf, reportText, type Finding, type Report } from '../doctor/findings';
import { lookAtKeyFile, lookAtNode, lookAtSpool } from '../doctor/local';
import {
  lookAtApi,
  lookAtNotices,
  lookAtOperations,
  lookAtReadiness,
  lookAtRouters,
  lookAtShards,
} from '../doctor/remote';

export function addDoctorCommand(program: Command, runner: Runner): void {
  program
    .command('doctor')
    .description('look at everything, and say what to do; exit code 1 with an error')
    .option('--json', 'the same as --output json')
    .action(({ json }: { json?: true }, command: Command) =>
      runner.run(command, (context) => doctor(context, json === true)),
    );
}

async function doctor(context: Context, isJson: boolean): Promise<ExitCode> {
  const { client, io } = context;
  const { keyFile } = loadClientConfig(io.environment, context.options);
  const here = [lookAtNode(process.versions.node), ...lookAtKeyFile(keyFile)];
  const api = await lookAtApi(client, io.nowMs);
  if (api === null) {
    const remedy = 'start it, or set COORDINATOR_URL';
    const finding = bad('error', ['api', 'API'], `no coordinator answers at ${client.url}`, remedy);
    print(context, reportOf([...here, finding]), isJson);
    return EXIT.unreachable;
  }
  const report = reportOf([...here, ...api, ...(await lookAtCluster(context))]);
  print(context, report, isJson);
  return report.healthy ? EXIT.done : EXIT.failed;
}

async function lookAtCluster({ client, io }: Context): Promise<Finding[]> {
  const shards = await lookAtShards(client);
  const [ready, routers, operations, notices] = await Promise.all([
    lookAtReadiness(client),
    lookAtRouters(client, shards.version),
    lookAtOperations(client, io.nowMs()),
    lookAtNotices(client),
  ]);
  const spool = lookAtSpool(io.environment, { url: client.url, rows: shards.rows });
  return [ready, ...shards.findings, ...routers, ...operations, ...notices, ...spool];
}

function print(context: Context, report: Report, isJson: boolean): void {
  if (isJson) context.io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else context.print(report, (style) => reportText(report, style));
}
