// A disk that is full and one that is read-only, both real (a tmpfs in a mount namespace of the test's own; root): what writes
// says so and leaves what was there as it was, what only reads works, and a log goes on once there is room again.
import { describe, expect, it } from 'vitest'
import path from 'node:path'
import { findProgram, run } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

const MAIN = path.join(import.meta.dirname, '../../src/main.ts')
const NODE = process.execPath
/** `disk` is the mount; `say` runs sightline and prints how it ended. */
const PRELUDE = `
set -u
disk=$1
mount -t tmpfs -o size=256k,mode=755 tmpfs "$disk"
say() { what=$1; shift; "${NODE}" "${MAIN}" "$@" >"$what.out" 2>"$what.err" </dev/null; echo "$what: $? $(head -n 1 "$what.err")"; }
fill() { dd if=/dev/zero of="$disk/filler" bs=1k 2>/dev/null; true; }
`

/** Runs a script as root of a mount namespace; gives what it printed. */
async function inNamespace(script: string): Promise<string> {
  await using dir = await tempDir()
  const done = await run(
    'unshare',
    ['-m', 'sh', '-c', `cd "$2"; mkdir disk; ${PRELUDE}${script}`, 'sh', dir.file('disk'), dir.path],
    { timeoutMs: 120_000 },
  )
  expect(done.stderr).toBe('')
  return done.stdout.toString()
}

const cannot = findProgram('unshare') === undefined || process.getuid?.() !== 0

describe.skipIf(cannot)('a disk (needs root, unshare)', () => {
  it('that is full: pki and user say so and harm nothing', async () => {
    const printed = await inNamespace(`
      say init pki init --dir "$disk/pki"
      say alice pki issue alice --client --dir "$disk/pki"
      echo sesame | "${NODE}" "${MAIN}" user add bob --file "$disk/users" >/dev/null
      before=$(cat "$disk"/pki/ca.crl "$disk"/pki/index* "$disk/users" | sha256sum)
      fill
      say full pki issue carol --client --dir "$disk/pki"
      say revoke pki revoke alice --dir "$disk/pki"
      echo sesame | "${NODE}" "${MAIN}" user add dora --file "$disk/users" 2>user.err >/dev/null; echo "user: $? $(head -n 1 user.err)"
      [ "$before" = "$(cat "$disk"/pki/ca.crl "$disk"/pki/index* "$disk/users" | sha256sum)" ] && echo same
      rm "$disk/filler"
      say list pki list --dir "$disk/pki"
      say again pki issue carol --client --dir "$disk/pki"
      say revoked pki revoke alice --dir "$disk/pki"
      ls -A "$disk/pki" | grep -c tmp`)
    console.log(printed)
    expect(printed).toMatch(/^init: 0 $/m)
    for (const what of ['full', 'revoke', 'user'])
      expect(printed).toMatch(
        new RegExp(`^${what}: 1 error: .*(ENOSPC|no space|disk is full).*; hint: `, 'm'),
      )
    expect(printed).toMatch(/^same$/m)
    for (const what of ['list', 'again', 'revoked']) expect(printed).toMatch(new RegExp(`^${what}: 0 $`, 'm'))
    expect(printed).toMatch(/^0$/m)
  })

  it('that is read-only: what writes says so, and a gateway serves from it', async () => {
    const printed = await inNamespace(`
      say init pki init --dir "$disk/pki"
      say issue pki issue gateway --server --host localhost --dir "$disk/pki"
      printf '%s' '{"inbounds":[{"type":"http","listen":"127.0.0.1:0","tls":{"certificate":"pki/gateway.crt","key":"pki/gateway.key","clientAuthority":"pki/ca.crt","revocationList":"pki/ca.crl"}}],"admin":{"listen":"127.0.0.1:0"}}' >"$disk/gateway.json"
      mount -o remount,ro "$disk"
      say readonly pki issue carol --client --dir "$disk/pki"
      say list pki list --dir "$disk/pki"
      say check config check "$disk/gateway.json"
      "${NODE}" "${MAIN}" serve --config "$disk/gateway.json" >serve.out 2>serve.err & gateway=$!
      for i in $(seq 200); do grep -q ready serve.out && break; sleep 0.1; done
      cut -d' ' -f1,2 serve.out
      kill -HUP $gateway
      for i in $(seq 200); do grep -q reloaded serve.out && break; sleep 0.1; done
      cut -d' ' -f1,2 serve.out
      kill $gateway; wait $gateway; echo "stopped: $?"`)
    console.log(printed)
    expect(printed).toMatch(/^readonly: 1 error: .*(EROFS|read-only).*; hint: /m)
    for (const what of ['list', 'check']) expect(printed).toMatch(new RegExp(`^${what}: 0 $`, 'm'))
    expect(printed).toMatch(/^ready https\nready https\nreloaded https\nstopped: 0$/m)
  })

  it('that is full under a log: lines are lost, and written again once there is room', async () => {
    const printed = await inNamespace(`
      printf '%s' '{"inbounds":[{"type":"http","listen":"127.0.0.1:0"}],"admin":{"listen":"127.0.0.1:0"}}' >gateway.json
      "${NODE}" "${MAIN}" serve --config gateway.json >serve.out 2>>"$disk/log" & gateway=$!
      for i in $(seq 200); do grep -q ready serve.out && break; sleep 0.1; done
      port=$(sed -n 's/.*http 127.0.0.1:\\([0-9]*\\).*/\\1/p' serve.out); admin=$(sed -n 's/.*admin 127.0.0.1:\\([0-9]*\\).*/\\1/p' serve.out)
      ask() { curl -s -o /dev/null -w '%{http_code}' -x "http://127.0.0.1:$port" http://10.0.0.1/; echo; }
      ask; fill; for i in $(seq 60); do ask >/dev/null; done; ask
      curl -s "http://127.0.0.1:$admin/metrics" | grep -c '^sightline_log_lines_lost_total [1-9]'
      rm "$disk/filler"; ask
      kill $gateway; wait $gateway; echo "stopped: $?"
      tail -n 3 "$disk/log" | grep -c '"refused"\\|"draining"\\|"stopped"'`)
    console.log(printed)
    expect(printed).toBe('403\n403\n1\n403\nstopped: 0\n3\n')
  })
})
