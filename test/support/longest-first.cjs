/**
 * The order of test files. On a clean clone jest knows no times and begins with the largest files. The harness over the rows
 * is a small one that takes longest: begun last, it would run alone on half of the machine.
 */
const Sequencer = require('@jest/test-sequencer').default;

const LONGEST = /rows\.temporal\.test\.ts$/;

module.exports = class LongestFirst extends Sequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const isLongest = ({ path }) => LONGEST.test(path);
    return [...sorted.filter(isLongest), ...sorted.filter((test) => !isLongest(test))];
  }
};
