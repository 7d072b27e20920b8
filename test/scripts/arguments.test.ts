import { parseArguments } from '../../scripts/arguments';

const KNOWN = ['ci', 'seed=', 'shard='];

describe('the arguments of the test commands', () => {
  it('are our own flags and values, and what is left goes to jest', () => {
    const parsed = parseArguments(['--ci', '--seed', '7', '--shard=1/3', 'grow', '-t', 'a cancel', '--verbose'], KNOWN);
    expect([...parsed.flags]).toEqual(['ci']);
    expect(parsed.values).toEqual({ seed: '7', shard: '1/3' });
    expect(parsed.jest).toEqual(['--testPathPatterns=grow', '--testNamePattern=a cancel', '--verbose']);
  });

  it('are refused when a value is missing', () => {
    expect(() => parseArguments(['--seed'], KNOWN)).toThrow('--seed needs a value');
    expect(() => parseArguments(['-t'], KNOWN)).toThrow('-t needs a value');
  });
});
