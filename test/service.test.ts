import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { loadConfig } from '../src/config';
import { createLogger } from '../src/log';
import { startService } from '../src/service';

const noFile = join(mkdtempSync(join(tmpdir(), 'service-')), 'none.toml');

/** What the program logs until it finds that it has no Temporal. */
async function linesOfStart(environment: Record<string, string>): Promise<string[]> {
  const lines: string[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(chunk.toString());
      done();
    },
  });
  const config = loadConfig({ QUIVER_INSECURE: 'true', TEMPORAL_CONFIG_FILE: noFile, ...environment });
  await expect(startService('api', config, createLogger('info', stream))).rejects.toThrow(/TEMPORAL_ADDRESS/);
  return lines;
}

describe('startService', () => {
  it('names the variables of Kubernetes that it ignores in one line', async () => {
    const lines = await linesOfStart({
      COORDINATOR_API_SERVICE_HOST: '10.0.0.1',
      COORDINATOR_TEMPORAL_PORT: 'tcp://10.0.0.1:7233',
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('["COORDINATOR_API_SERVICE_HOST","COORDINATOR_TEMPORAL_PORT"]');
    expect(lines[0]).toContain('ignored');
  });

  it('logs nothing of the kind without such variables', async () => {
    expect(await linesOfStart({})).toEqual([]);
  });
});
