/**
 * One project per tier, told by the suffix of the file. `unit` needs neither Temporal nor Quiver and runs side by side. The others
 * start real processes (scripts/test.ts says how many files of each run at once).
 */
const IMPORTS_LATE = '@opentelemetry/otlp-exporter-base';
const shared = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
    // It imports Node's http when it is used. Jest can run that only as a require.
    [`^.+/${IMPORTS_LATE}/.+\\.js$`]: ['@swc/jest', { module: { type: 'commonjs' } }],
  },
  transformIgnorePatterns: [`/node_modules/(?!${IMPORTS_LATE}/)`],
};
const CAMPAIGN = '<rootDir>/test/campaign/';
const ignoring = (...paths) => ['/node_modules/', ...paths];

/** @type {import('jest').Config} */
module.exports = {
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ignoring('\\.(temporal|quiver)\\.test\\.ts$', CAMPAIGN),
    },
    {
      ...shared,
      displayName: 'temporal',
      testMatch: ['<rootDir>/test/**/*.temporal.test.ts'],
      testPathIgnorePatterns: ignoring(CAMPAIGN),
    },
    {
      ...shared,
      displayName: 'quiver',
      testMatch: ['<rootDir>/test/**/*.quiver.test.ts'],
      testPathIgnorePatterns: ignoring(CAMPAIGN),
    },
    { ...shared, displayName: 'campaign', testMatch: [`${CAMPAIGN}**/*.test.ts`] },
  ],
  testSequencer: '<rootDir>/test/support/longest-first.cjs',
  // A whole grow against real processes takes its time; everything else is far below this.
  testTimeout: 180_000,
};
