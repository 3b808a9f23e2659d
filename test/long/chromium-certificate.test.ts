// A bundle of `pki bundle` in Chromium: imported as a person does it (its store is NSS's), chosen by a policy since nobody
// is there to click, and good for the gateway. Root: the policy lies in a mount namespace of the test's own, where
// Debian's Chromium looks for it.
import { mkdir, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { bundle, ensureDevelopmentPki } from '../../src/pki/store.ts'
import { serve } from '../support/gateway-process.ts'
import { startOrigin } from '../support/origin.ts'
import { isMissing, run, succeed } from '../support/programs.ts'
import { everyInbound } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

const POLICY = { AutoSelectCertificateForUrls: ['{"pattern":"https://localhost","filter":{}}'] }
const VISIT = `mount -t tmpfs tmpfs /etc/chromium && mkdir -p /etc/chromium/policies/managed &&
cp "$1" /etc/chromium/policies/managed/ &&
exec chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --user-data-dir="$2" --dump-dom "$3"`
/** Chromium opens its store in the background, and says of no event that it is done. */
const STORE_MS = 4_000
const canTry = process.getuid?.() === 0 && !isMissing('chromium', 'unshare', 'pk12util', 'certutil')

/** What Chromium shows of `url` in a home of its own, whose store `fill` has filled. */
async function visit(dir: TempDir, url: string, fill: (store: string) => Promise<void>): Promise<string> {
  await using home = await tempDir()
  for (const place of ['.pki/nssdb', '.local/share/pki/nssdb']) {
    const store = home.file(place)
    await mkdir(store, { recursive: true })
    await succeed('certutil', ['-N', '-d', `sql:${store}`, '--empty-password'])
    const trusted = ['-n', 'the authority', '-t', 'C,,', '-a', '-i', dir.file('ca.crt')]
    await succeed('certutil', ['-A', '-d', `sql:${store}`, ...trusted])
    await fill(`sql:${store}`)
  }
  await writeFile(dir.file('policy.json'), JSON.stringify(POLICY))
  const detour = await startOrigin({
    handle: (_request, response) =>
      setTimeout(() => response.writeHead(302, { location: url }).end(), STORE_MS),
  })
  const first = `http://127.0.0.1:${detour.port}/`
  const args = ['-m', 'sh', '-c', VISIT, 'sh', dir.file('policy.json'), home.file('profile'), first]
  const { stdout } = await run('unshare', args, { env: { HOME: home.path }, timeoutMs: 60_000 })
  await detour.close()
  return stdout.toString()
}

describe('chromium', () => {
  it.skipIf(!canTry)(
    'shows the certificate of a bundle that was imported, and is let in with it',
    async () => {
      await using dir = await tempDir()
      await ensureDevelopmentPki(dir.path)
      await writeFile(dir.file('client.p12'), await bundle(dir.path, 'client', 'sesame'))
      const inbounds = everyInbound(dir)?.filter(({ type }) => type === 'tunnel')
      await using gateway = await serve(dir.file('gateway.json'), { inbounds, log: { level: 'silent' } })
      const url = `https://localhost:${gateway.port('tunnel')}/`
      expect(await visit(dir, url, async () => {})).toContain('code: certificate-required')
      const shown = await visit(dir, url, async (store) => {
        await succeed('pk12util', ['-i', dir.file('client.p12'), '-d', store, '-W', 'sesame'])
      })
      expect(shown).toContain('code: not-found')
    },
  )
})
