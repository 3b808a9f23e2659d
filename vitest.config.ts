import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**'],
    pool: 'forks',
    // With one worker fewer than cores (the default, and CI's), two cores would take more than two minutes.
    ...(process.env['CI'] === undefined && { maxWorkers: 2 }),
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
})
