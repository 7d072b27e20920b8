/**
 * Beside the strict type-checked rules: which room may import which (house.config.cjs), and neither clock nor randomness nor I/O in
 * what has to be pure or deterministic.
 */
const tseslint = require('typescript-eslint');
const house = require('./house.config.cjs');

const CLOCK_AND_CHANCE = [
  { object: 'Date', property: 'now', message: 'Time is an argument here: nowMs.' },
  { object: 'Math', property: 'random', message: 'Chance is an argument here.' },
  { object: 'performance', property: 'now', message: 'Time is an argument here: nowMs.' },
  { object: 'crypto', property: 'randomUUID', message: 'Chance is an argument here.' },
];
const ENVIRONMENT = {
  object: 'process',
  property: 'env',
  message: 'Only src/config reads the environment; main.ts hands it over.',
};
const NO_NEW_DATE = {
  selector: 'NewExpression[callee.name="Date"][arguments.length=0]',
  message: 'Time is an argument here: nowMs.',
};

const NO_MARKUP = {
  selector:
    'MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|write|cssText|createContextualFragment)$/]',
  message: 'Data reaches the page as text and attributes only: use h and s of dom.js.',
};
/** All that the status page uses of a browser. */
const OF_BROWSER = [
  'AbortController',
  'AbortSignal',
  'EventSource',
  'Node',
  'ResizeObserver',
  'URLSearchParams',
  'clearInterval',
  'crypto',
  'document',
  'fetch',
  'location',
  'requestAnimationFrame',
  'setInterval',
  'setTimeout',
];

/** Files of test/support that start Temporal, Quiver, a browser or the built product. */
const STARTS_A_SERVER = [
  'temporal',
  'cluster-fixture',
  'use-cluster',
  'scene',
  'script-harness',
  'real-quiver',
  'cluster-under-test',
  'coordinator-process',
  'suites',
  'operations-under-test',
  'browser',
];

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
    ignores: ['src/config/**', 'src/main.ts', 'src/temporal/dev-server/**'],
    rules: { 'no-restricted-properties': ['error', ENVIRONMENT] },
  },
  {
    // Inner loops over typed arrays and buffers, where every index is in bounds by construction and a check costs.
    files: ['src/domain/hrw.ts', 'src/domain/placement-plan.ts', 'src/shards/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    // The status page runs in browsers as it is written: no compiler looks at it, so these rules do.
    files: ['src/api/page/static/*.js'],
    languageOptions: {
      sourceType: 'module',
      globals: Object.fromEntries(OF_BROWSER.map((name) => [name, 'readonly'])),
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'no-undef': 'error',
      'no-unused-vars': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: false }],
      'no-restricted-syntax': ['error', NO_MARKUP],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { house: house.plugin },
    rules: { 'house/imports': 'error' },
  },
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
  {
    // The tier of a test is its suffix: what starts Temporal or Quiver stays out of the unit tests.
    files: ['test/**/*.test.ts'],
    ignores: ['test/**/*.temporal.test.ts', 'test/**/*.quiver.test.ts', 'test/campaign/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `(?:support|\\.)/(?:${STARTS_A_SERVER.join('|')})$|/dev-server/(?:dev-server|embedded)$`,
              message:
                'A unit test starts neither Temporal nor Quiver: call the file *.temporal.test.ts or *.quiver.test.ts.',
            },
          ],
        },
      ],
    },
  },
);
