/**
 * Beside the strict type-checked rules this holds up the house's walls: which folder may import which, and that what has to be pure or
 * deterministic has neither clock nor randomness nor I/O.
 */
const tseslint = require('typescript-eslint');

const TEMPORAL_IN_WORKFLOWS = ['@temporalio/workflow', '@temporalio/common'];

/** What those may see who start, ask and watch workflows: never a workflow function or an activity. */
const OUTSIDE_OF_WORKFLOWS = [
  'domain',
  'wire',
  'config',
  'workflows/messages',
  'workflows/search-attributes',
  'activities/contract',
  'activities/autoscale-contract',
];

/** What a folder of src may import: other folders of src, and packages. Everything else is an error. */
const MAY_IMPORT = {
  domain: { folders: [], packages: [] },
  wire: { folders: ['domain'], packages: ['zod'] },
  shards: { folders: ['domain', 'wire'], packages: ['undici', 'zod', 'node:*'] },
  activities: {
    folders: ['domain', 'wire', 'shards', 'workflows/messages', 'workflows/operation-state', 'temporal'],
    packages: ['@temporalio/activity', '@temporalio/client', '@temporalio/common', 'undici', 'zod', 'pino', 'node:*'],
  },
  workflows: {
    folders: ['domain', 'wire', 'activities/contract', 'activities/autoscale-contract'],
    packages: TEMPORAL_IN_WORKFLOWS,
  },
  api: {
    folders: [...OUTSIDE_OF_WORKFLOWS, 'shards', 'temporal'],
    packages: ['@temporalio/client', '@temporalio/common', 'express', 'undici', 'zod', 'pino', 'node:*'],
  },
  temporal: {
    folders: OUTSIDE_OF_WORKFLOWS,
    packages: ['@temporalio/*', 'pino', 'node:*'],
  },
};

/** Imports reach other folders as `../folder/file`, from deeper ones as `../../folder/file`; inside the own folder anything goes. */
function importWalls(folder, { folders, packages }) {
  const others = [...Object.keys(MAY_IMPORT), 'config', 'cli', 'log', 'main'].filter((name) => name !== folder);
  const allowedFiles = folders.filter((name) => name.includes('/'));
  const closed = others.filter((name) => !folders.includes(name));
  const isOpen = allowedFiles.map((name) => `(?!${name}$)`).join('');
  const walls = [
    {
      regex: `^(?:\\.\\./)+${isOpen}(?:${closed.join('|')})(?:/|$)`,
      message: `src/${folder} may import ${[...folders, 'itself'].join(', ')} only (see the house in the style guide).`,
    },
  ];
  const allowed = packages.map((name) => `${name.replace('*', '')}${name.endsWith('*') ? '' : '(?:/|$)'}`).join('|');
  walls.push({
    regex: `^(?![./]${allowed === '' ? '' : `|${allowed}`})`,
    message: `src/${folder} may not use this package: ${packages.join(', ') || 'none at all'} only.`,
  });
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: { 'no-restricted-imports': ['error', { patterns: walls }] },
  };
}

const CLOCK_AND_CHANCE = [
  { object: 'Date', property: 'now', message: 'Time is an argument here: nowMs.' },
  { object: 'Math', property: 'random', message: 'Chance is an argument here.' },
  { object: 'performance', property: 'now', message: 'Time is an argument here: nowMs.' },
  { object: 'crypto', property: 'randomUUID', message: 'Chance is an argument here.' },
];
const ENVIRONMENT = {
  object: 'process',
  property: 'env',
  message: 'Only src/config.ts reads the environment; main.ts hands it over.',
};
const NO_NEW_DATE = {
  selector: 'NewExpression[callee.name="Date"][arguments.length=0]',
  message: 'Time is an argument here: nowMs.',
};

module.exports = tseslint.config(
  { ignores: ['dist/**', '.dist-*/**', 'coverage/**', 'node_modules/**', 'test/replay/histories/**', '.data/**'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: __dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      // Numbers, and what is known not to be an object, read well in a template.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // `() => stop()` says what it does; braces around it say nothing more.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // An object whose keys are names from outside is indexed as env['PATH'], which noUncheckedIndexedAccess guards.
      '@typescript-eslint/dot-notation': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      'max-lines': ['error', { max: 400, skipBlankLines: false }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/config.ts', 'src/config/**', 'src/main.ts', 'src/temporal/temporal-cli.ts'],
    rules: { 'no-restricted-properties': ['error', ENVIRONMENT] },
  },
  {
    // Inner loops over typed arrays and buffers, where every index is in bounds by construction and a check costs.
    files: ['src/domain/hrw.ts', 'src/domain/placement-plan.ts', 'src/shards/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  ...Object.entries(MAY_IMPORT).map(([folder, allowed]) => importWalls(folder, allowed)),
  {
    files: ['src/domain/**/*.ts', 'src/workflows/**/*.ts'],
    rules: {
      'no-restricted-properties': ['error', ENVIRONMENT, ...CLOCK_AND_CHANCE],
      'no-restricted-syntax': ['error', NO_NEW_DATE],
      'no-restricted-globals': [
        'error',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'fetch',
        'process',
        'Buffer',
        'require',
      ],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts', 'demo/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      'no-console': 'off',
      'max-lines': 'off',
      // Answers are read as JSON and looked into; a wrong guess fails the test.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
