/** `doctor`: looks at everything that the coordinator can tell, and says what to do. */
import type { Command } from 'commander';
import { loadClientConfig } from '../../config/client-settings';
import type { Context, Runner } from '../context';
import { EXIT, type ExitCode } from '../exit';
import { bad, reportOf, reportText, type Finding, type Report } from '../doctor/findings';
import { lookAtDiagnosis } from '../doctor/diagnosis';
import { lookAtKeyFile, lookAtNode } from '../doctor/local';
import { lookAtPorts } from '../doctor/ports';
import {
  lookAtApi,
  lookAtNotices,
  lookAtOperations,
  lookAtReadiness,
  lookAtRouters,
  lookAtShards,
} from '../doctor/remote';
import { RestClient } from '../rest/client';

/** Of all looks together. A coordinator needs some 20 s of it when nothing answers it. */
const DOCTOR_MS = 45_000;
/** Of the first look: does anybody answer? */
const FIRST_LOOK_MS = 10_000;

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
  const { io } = context;
  const config = loadClientConfig(io.environment, context.options);
  const endingIn = (ms: number): RestClient => new RestClient({ ...config, endsAtMs: Date.now() + ms });
  const client = endingIn(DOCTOR_MS);
  const here = [lookAtNode(process.versions.node), ...lookAtKeyFile(config.keyFile)];
  const api = await lookAtApi(endingIn(FIRST_LOOK_MS), io.nowMs);
  if (api === null) {
    const remedy = 'start it, or set COORDINATOR_URL';
    const finding = bad('error', ['api', 'API'], `no coordinator answers at ${client.url}`, remedy);
    const ports = await lookAtPorts(io.environment, client.url);
    print(context, reportOf([...here, finding, ...ports]), isJson);
    return EXIT.unreachable;
  }
  const report = reportOf([...here, ...api, ...(await lookAtCluster(client, io.nowMs()))]);
  print(context, report, isJson);
  return report.healthy ? EXIT.done : EXIT.failed;
}

async function lookAtCluster(client: RestClient, nowMs: number): Promise<Finding[]> {
  const looking = lookAtShards(client);
  const [ready, shards, routers, operations, notices, diagnosis] = await Promise.all([
    lookAtReadiness(client),
    looking,
    looking.then(({ version }) => lookAtRouters(client, version)),
    lookAtOperations(client, nowMs),
    lookAtNotices(client),
    lookAtDiagnosis(client, async () => (await looking).rows),
  ]);
  return [ready, ...shards.findings, ...routers, ...operations, ...notices, ...diagnosis];
}

function print(context: Context, report: Report, isJson: boolean): void {
  if (isJson) context.io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else context.print(report, (style) => reportText(report, style));
}
