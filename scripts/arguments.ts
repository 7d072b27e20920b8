/** What the test commands are told. Patterns and options of jest go through to jest. */
export interface TestArguments {
  /** The flags of ours that were given, without their dashes. */
  readonly flags: ReadonlySet<string>;
  readonly values: Readonly<Record<string, string>>;
  /** For jest: words are patterns of paths, everything else is an option with its value. */
  readonly jest: readonly string[];
}

/** Options of jest that take the next word with them. */
const WITH_A_VALUE = ['-t', '--testNamePattern', '--testTimeout', '--maxWorkers', '-w'];

/** `known`: our own flags; with a `=` at its end, one that takes a value. */
export function parseArguments(words: readonly string[], known: readonly string[]): TestArguments {
  const flags = new Set<string>();
  const values: Record<string, string> = {};
  const jest: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const [name = '', inline] = word.replace(/^--/, '').split(/=(.*)/s);
    if (word.startsWith('--') && known.includes(name)) flags.add(name);
    else if (word.startsWith('--') && known.includes(`${name}=`)) {
      const value = inline ?? words[++index];
      if (value === undefined || value === '') throw new Error(`--${name} needs a value`);
      values[name] = value;
    } else if (WITH_A_VALUE.includes(word)) {
      const value = words[++index];
      if (value === undefined) throw new Error(`${word} needs a value`);
      jest.push(`${word === '-t' ? '--testNamePattern' : word}=${value}`);
    } else if (word.startsWith('-')) jest.push(word);
    else jest.push(`--testPathPatterns=${word}`);
  }
  return { flags, values, jest };
}
