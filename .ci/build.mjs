// Compiles src to dist, from nothing, and makes dist/main.js a program. Plain JavaScript that an older Node runs too,
// since it may be what stands on the machine before Node 24 is installed.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
  { stdio: 'inherit' },
)
if (status !== 0) process.exit(1)
chmodSync('dist/main.js', 0o755)
