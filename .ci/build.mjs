// Compiles src to dist, from nothing, makes dist/main.js a program, and builds the console's page to dist/console (not in
// the image, which has no console and is given no build-page.mjs). Plain JavaScript that an older Node runs too, since it
// may be what stands on the machine before Node 24 is installed.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync } from 'node:fs'

const OWN_NODE = `node_modules/node-linux-${process.arch}/bin/node`
const NODE = existsSync(OWN_NODE) ? OWN_NODE : process.execPath

rmSync('dist', { recursive: true, force: true })
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json')
if (existsSync('.ci/build-page.mjs')) run('.ci/build-page.mjs')
chmodSync('dist/main.js', 0o755)

function run(...words) {
  const { status } = spawnSync(NODE, words, { stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}
