// Run as a process by crash.test.ts, which kills it: issues, renews, revokes and writes lists in a directory for as long
// as it lives, and says on standard output what is done, a line each. node crash-writer.ts DIR
import { issue, refreshRevocationList, renew, revoke } from '../../src/pki/store.ts'

const [dir = ''] = process.argv.slice(2)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

for (let round = 0; ; round++) {
  const name = `${process.pid}-${round}`
  await issue(dir, name, { kind: 'client', hosts: [] })
  say(`issued ${name}`)
  await renew(dir, name)
  if (round % 2 === 0) {
    await revoke(dir, name)
    say(`revoked ${name}`)
  }
  await refreshRevocationList(dir)
}
