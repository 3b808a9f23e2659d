// An audit over a network, by real programs: the client behind a router with NAT, the proxy on one host, `sightline probe`
// on another. tcpdump records the client's link to the proxy, and the proxy's to the probe, while `sightline audit` asks;
// a plain search of those files has to agree with its cells, one by one.
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuditResult } from '../../src/lab/audit/audit.ts'
import { makeCanaries, type Canaries } from '../../src/lab/canary.ts'
import { cellOf } from '../../src/lab/report/words.ts'
import { INFORMATION, type Information, type Observer } from '../../src/policy/exposure.ts'
import { answers, says, value } from '../lab/audit/audits.ts'
import { startSightline, type SightlineProcess } from '../support/gateway-process.ts'
import { isMissing, succeed } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { Internet, NAMES, PLACES } from './audit-network/internet.ts'
import {
  PORTS,
  startDante,
  startGateway,
  startSquid,
  startTunnelClient,
  USER,
} from './audit-network/proxies.ts'
import { Capture } from './namespaces.ts'

const IMPOSSIBLE =
  isMissing('ip', 'nft', 'tcpdump', 'tshark', 'unbound', 'squid', 'danted') || process.getuid?.() !== 0
/** A run of datagrams is there where the proxy carried them. */
const SCHEMES = ['http', 'https', 'udp'] as const
type Scheme = (typeof SCHEMES)[number]
type Needle = string | Buffer

interface Audited {
  readonly result: AuditResult
  readonly canaries: Canaries
  /** What the audit's program calls itself in CONNECT. */
  readonly program: string
  /** Of the client's link to the proxy, and of the proxy's to the probe: everything, and the stream of each visit. */
  readonly access: Buffer
  readonly accessOf: Readonly<Record<Scheme, Buffer>>
  readonly exit: Buffer
  readonly exitOf: Readonly<Record<Scheme, Buffer>>
}

describe.skipIf(IMPOSSIBLE)(
  'an audit over a network (needs root, ip, nft, tcpdump, tshark, unbound, squid, danted)',
  () => {
    let internet: Internet
    let dir: TempDir
    let probe: SightlineProcess
    let gateway: SightlineProcess
    let origin = ''
    const started = new AsyncDisposableStack()
    beforeAll(async () => {
      dir = started.use(await tempDir())
      internet = started.use(await Internet.make())
      const names = ['--host', NAMES.probe, '--zone', NAMES.zone, '--address', PLACES.probe]
      probe = await startSightline(
        ['probe', '--listen', `${PLACES.probe}:9002`, ...names],
        internet.on('probe'),
      )
      started.use(probe)
      origin = (probe.out.find((line) => line.startsWith('ready ')) ?? '').replace('ready probe ', '')
      started.use(await startSquid(internet, dir))
      started.use(await startDante(internet, dir))
      gateway = started.use(await startGateway(internet, dir))
    }, 60_000)
    afterAll(() => started.disposeAsync())

    async function ask(proxy: string, file: string, args: readonly string[]): Promise<AuditResult> {
      const main = new URL('../../src/main.ts', import.meta.url).pathname
      const [program = '', ...within] = internet.on('client')
      const call = [process.execPath, main, 'audit', proxy, '--json', '-', ...args]
      const { stdout } = await succeed(program, [...within, ...call], { timeoutMs: 60_000 })
      await writeFile(dir.file(`${file}.json`), stdout)
      return JSON.parse(stdout.toString()) as AuditResult
    }

    async function audit(name: string, proxy: string, args: readonly string[] = []): Promise<Audited> {
      const files = { access: dir.file(`${name}-access.pcap`), exit: dir.file(`${name}-exit.pcap`) }
      await using access = await Capture.start({
        within: internet.on('client'),
        device: 'up0',
        file: files.access,
        filter: `host ${PLACES.proxy}`,
        beyond: PLACES.proxy,
      })
      await using exit = await Capture.start({
        within: internet.on('proxy'),
        device: 'up0',
        file: files.exit,
        filter: `host ${PLACES.probe}`,
        beyond: PLACES.probe,
      })
      const seed = `audit of ${name}`
      const result = await ask(proxy, name, ['--origin', origin, '--seed', seed, ...args])
      const recorded = { access: await access.end(), exit: await exit.end() }
      return {
        result,
        canaries: makeCanaries(seed),
        program: makeCanaries(`the program of ${seed}`).userAgent,
        ...recorded,
        accessOf: {
          ...(await visits(files.access, '')),
          // All but the mark that ends the capture.
          udp: await packetsOf(files.access, 'udp && udp.port != 9'),
        },
        exitOf: {
          http: (await visits(files.exit, 'tcp.port == 9002')).http,
          https: (await visits(files.exit, 'tcp.port == 9003')).http,
          udp: await packetsOf(files.exit, 'udp.port == 9004'),
        },
      }
    }

    it.each([
      ['squid', `http://${NAMES.proxy}:${PORTS.squid}`, 'plain proxy'],
      ['Dante, told names', `socks5h://${NAMES.proxy}:${PORTS.dante}`, 'plain SOCKS proxy'],
      ['Dante, told addresses', `socks5://${NAMES.proxy}:${PORTS.dante}`, 'plain SOCKS proxy'],
      ['our encrypted proxy', '', 'encrypted proxy'],
    ])('of %s agrees with a plain search of what tcpdump wrote', async (name, url, kind) => {
      const own = `https://${USER.name}:${USER.password}@${NAMES.proxy}:${gateway.port('https')}`
      const audited = await audit(
        name,
        url === '' ? own : url,
        url === '' ? ['--authority', dir.file('ca.crt')] : [],
      )
      const { result } = audited
      expect(result.answer).toMatch(new RegExp(`^this is an? ${kind}: `))
      expect(result.stands).toBe(true)
      const wrong = [...accessMistakes(audited), ...exitMistakes(audited)]
      expect(wrong).toEqual([])
      expect(result.runs.map(({ scheme }) => scheme)).toEqual(
        name.startsWith('Dante') ? ['http', 'https', 'udp'] : ['http', 'https'],
      )

      const isTold = url.startsWith('socks5:')
      const asker = isTold ? PLACES.clientResolver : PLACES.proxyResolver
      expect(says(result, 'names-by-proxy')).toContain(
        `the look-up came to the probe from ${asker}: ${isTold ? 'your resolver' : 'a resolver of its own'}`,
      )
      expect(value(result, 'http', 'resolver', 'destination-name')).toBe('clear')
      expect(value(result, 'http', 'resolver', 'client-address')).toBe(isTold ? 'inferable' : 'absent')
      expect(value(result, 'http', 'destination', 'client-address')).toBe(
        name === 'squid' ? 'clear' : 'absent',
      )
      if (name === 'squid')
        expect(says(result, 'headers-name-you')).toBe(`x-forwarded-for: ${PLACES.router} (http)`)
      else expect(answers(result)['headers-name-you']).toBe('no')
      expect(answers(result)['udp-carried']).toBe(name.startsWith('Dante') ? 'yes' : 'no')
      expect(audited.access.includes(audited.canaries.datagram)).toBe(name.startsWith('Dante'))
      expect(audited.exit.includes(audited.canaries.datagram)).toBe(name.startsWith('Dante'))
    })

    it("of our tunnel's client: the link that leaves the machine is not measured, and nothing is readable on it", async () => {
      await using client = await startTunnelClient(internet, dir, gateway.port('tunnel'))
      const audited = await audit('tunnel', `socks5h://127.0.0.1:${client.port('client')}`)
      const { result, access, canaries } = audited
      expect(result.answer).toMatch(/^this is a SOCKS proxy on this machine: .* was not measured/)
      expect(result.runs.map(({ scheme }) => scheme)).toEqual(SCHEMES)
      for (const scheme of SCHEMES)
        for (const information of INFORMATION)
          expect(value(result, scheme, 'access-network', information)).toBe('not-measured')
      const words = Object.values(canaries).filter((word) => access.includes(word))
      expect(words).toEqual([])
      expect(exitMistakes(audited)).toEqual([])
      expect(says(result, 'names-by-proxy')).toContain(`from ${PLACES.proxyResolver}: a resolver of its own`)
    })

    it('without a zone: who asks is not measured, for that reason', async () => {
      const without = origin.replace(`,zone=${NAMES.zone}`, '')
      const result = await ask(`http://${NAMES.proxy}:${PORTS.squid}`, 'zoneless', ['--origin', without])
      for (const information of INFORMATION) {
        const run = result.runs.find(({ scheme }) => scheme === 'http')
        const cell = run && cellOf(run, 'resolver', information)
        expect([cell?.value, cell?.reason]).toEqual([
          'not-measured',
          'the probe answers for no zone: with sightline probe --zone NAME it sees who asks',
        ])
      }
      expect(answers(result)['names-by-proxy']).toBe('yes')
    })

    /** The first two streams with bytes in them, in the order in which an audit makes them. */
    async function visits(file: string, filter: string): Promise<Record<'http' | 'https', Buffer>> {
      const only = filter === '' ? 'tcp.len > 0' : `tcp.len > 0 && ${filter}`
      const listed = await succeed('tshark', ['-r', file, '-Y', only, '-T', 'fields', '-e', 'tcp.stream'])
      const [first, second] = [...new Set(listed.stdout.toString().trim().split('\n'))]
      return { http: await streamOf(file, first), https: await streamOf(file, second) }
    }

    async function streamOf(file: string, stream: string | undefined): Promise<Buffer> {
      if (stream === undefined || stream === '') return Buffer.alloc(0)
      return packetsOf(file, `tcp.stream == ${stream}`)
    }

    async function packetsOf(file: string, filter: string): Promise<Buffer> {
      return (await succeed('tshark', ['-r', file, '-Y', filter, '-F', 'pcap', '-w', '-'])).stdout
    }
  },
)

/** What a person would look for. */
function needlesOf(information: Information, canaries: Canaries): Needle[] {
  const basic = (user: string, password: string): string =>
    Buffer.from(`${user}:${password}`).toString('base64')
  const address = (text: string): Needle[] => [text, Buffer.from(text.split('.').map(Number))]
  switch (information) {
    case 'client-address':
      return [...address(PLACES.client), ...address(PLACES.router)]
    case 'client-identity':
      return [USER.name, USER.password, basic(USER.name, USER.password)]
    case 'destination-name':
      return [canaries.hostLabel, NAMES.zone]
    case 'destination-address':
      return address(PLACES.probe)
    case 'url-and-headers':
      return [canaries.path, canaries.query, canaries.header, canaries.cookie, canaries.userAgent]
    case 'content':
      return [
        ...[canaries.requestBody, canaries.responseBody, canaries.datagram],
        basic(canaries.siteUser, canaries.sitePassword),
      ]
    case 'traffic-shape':
    case 'client-fingerprint':
      return []
  }
}

function isIn(file: Buffer, needles: readonly Needle[]): boolean {
  return needles.some((needle) => file.includes(needle))
}

/** The access network's cells that a search of the client's link contradicts. */
function accessMistakes({ result, canaries, accessOf, program }: Audited): string[] {
  let compared = 0
  const wrong = SCHEMES.flatMap((scheme) =>
    INFORMATION.flatMap((information) => {
      const run = result.runs.find((one) => one.scheme === scheme)
      if (run === undefined && scheme === 'udp') return []
      const cell = run && cellOf(run, 'access-network', information)
      if (cell === undefined) return [`${scheme} ${information}: no cell`]
      if (cell.value === 'not-measured') return []
      compared += 1
      const random = cell.evidence.find(({ field }) => field === 'ssl.client_random')?.excerpt ?? ''
      const found =
        information === 'traffic-shape'
          ? accessOf[scheme].length > 24
          : information === 'client-fingerprint'
            ? random !== '' && accessOf[scheme].includes(Buffer.from(random, 'hex'))
            : isIn(accessOf[scheme], needlesOf(information, canaries))
      return found === (cell.value === 'clear')
        ? []
        : [`${scheme} ${information}: ${cell.value}, found: ${found}`]
    }),
  )
  const named = accessOf.https.includes(program)
  if (named !== (answers(result)['program-named'] === 'yes')) wrong.push(`program-named, found: ${named}`)
  console.log(`access network: ${compared} cells and the program's name compared, ${wrong.length} wrong`)
  return wrong
}

/** The exit network's and the destination's cells that a search of the proxy's other link contradicts. */
function exitMistakes({ result, canaries, exitOf }: Audited): string[] {
  let compared = 0
  const wrong = SCHEMES.flatMap((scheme) =>
    INFORMATION.flatMap((information) => {
      if (information === 'traffic-shape' || information === 'client-fingerprint') return []
      if (!result.runs.some((run) => run.scheme === scheme)) return []
      const found = isIn(exitOf[scheme], needlesOf(information, canaries))
      const judged = (observer: Observer): string => value(result, scheme, observer, information) ?? 'no cell'
      const [exit, destination] = [judged('exit-network'), judged('destination')]
      const isOpen = scheme !== 'https' || information === 'destination-name'
      const mistakes = [
        ...(exit === 'inferable' && !found ? [`exit-network says ${exit}`] : []),
        ...(destination === 'absent' && found ? [`destination says ${destination}`] : []),
        ...(destination === 'clear' && isOpen && !found ? [`destination says ${destination}`] : []),
      ]
      compared += 1
      return mistakes.map((text) => `${scheme} ${information}: ${text}, found: ${found}`)
    }),
  )
  console.log(`exit network and destination: ${compared} compared, ${wrong.length} wrong`)
  return wrong
}
