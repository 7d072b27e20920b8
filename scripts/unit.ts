/** `npm run unit -- hrw`: the unit tests of one file, or with `-t` of one title. Nothing else is checked. */
import { parseArguments } from './arguments';
import { conclude, jest } from './stages';
import { ROOT } from './run-command';

const BOUND_SECONDS = 90;

process.chdir(ROOT);
const { jest: options } = parseArguments(process.argv.slice(2), []);
conclude('unit', BOUND_SECONDS, async () => [await jest(['unit'], options)]);
