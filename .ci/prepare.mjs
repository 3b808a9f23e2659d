// Runs at the end of `npm ci`: puts Node 24 and `sightline` among the programs of node_modules and builds dist, so that
// `npx sightline` works from a checkout, offline and with no other step. Without the compiler (--omit=dev) there is
// nothing to build, and that is no failure. Plain JavaScript: an older Node runs it.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'

const PROGRAMS = 'node_modules/.bin'
const OWN_NODE = `node-linux-${process.arch}/bin/node`

/** Makes node_modules/.bin/NAME point to `target`, which is relative to that folder. */
function link(name, target) {
  mkdirSync(PROGRAMS, { recursive: true })
  rmSync(`${PROGRAMS}/${name}`, { force: true })
  symlinkSync(target, `${PROGRAMS}/${name}`)
}

// npm 10, which comes with Node 20, makes this link and then removes it: it takes it for that of the other
// processor's package, which it does not install.
if (existsSync(`node_modules/${OWN_NODE}`) && !existsSync(`${PROGRAMS}/node`)) link('node', `../${OWN_NODE}`)

if (!existsSync('node_modules/typescript')) {
  console.log('prepare: installed without the compiler, so dist is not built here')
  process.exit(0)
}
const { status } = spawnSync(process.execPath, ['.ci/build.mjs'], { stdio: 'inherit' })
if (status !== 0) process.exit(1)
// npm 11 does not look for a program in the package that it stands in (npm 10 does).
link('sightline', '../../dist/main.js')
