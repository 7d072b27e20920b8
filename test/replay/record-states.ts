/**
 * Writes what each recorded history leads to, beside it, where nothing is yet:
 *
 *     npx tsx test/replay/record-states.ts
 *
 * To be run after record-histories.ts, and never to make a failing replay pass: what differs would differ for a running
 * operation too.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporal as proto } from '@temporalio/proto';
import { bundleForReplay, replayedState } from './replayed-state';

const FOLDER = join(__dirname, 'histories');

async function recordStates(): Promise<void> {
  const bundle = await bundleForReplay();
  const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.binpb'));
  for (const file of files) {
    const known = join(FOLDER, file.replace(/binpb$/, 'state.json'));
    if (existsSync(known)) continue;
    const history = proto.api.history.v1.History.decode(readFileSync(join(FOLDER, file)));
    const state = await replayedState(bundle, history);
    writeFileSync(known, `${JSON.stringify(state, null, 2)}\n`);
    console.log(`${file}: ${Object.keys(state).join(', ')}`);
  }
}

recordStates().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
