// tshark with our dissector, as a second opinion on a capture. Rules: no setting of the machine's user reaches it, and
// what it complains of (a Lua error, for one, leaves its exit code at 0) fails the test.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { succeed } from './programs.ts'

/** The dissector of the tunnel's frames. */
export const DISSECTOR = fileURLToPath(new URL('../../docs/wireshark/sightline.lua', import.meta.url))

export interface TsharkOptions {
  /** NSS key log file; without it nothing is decrypted. */
  readonly keylog?: string
  /** The port that speaks TLS, or HTTP in clear. */
  readonly port: number
  readonly speaks?: 'tls' | 'http'
}

/** Runs tshark on a capture with our dissector and gives its standard output. Rejects with what it complains of. */
export async function tshark(
  capture: string,
  args: readonly string[],
  options: TsharkOptions,
): Promise<string> {
  const home = path.dirname(capture)
  const { port, speaks = 'tls', keylog } = options
  const decode = [
    '-d',
    `tcp.port==${port},${speaks}`,
    ...(speaks === 'tls' ? ['-d', `tls.port==${port},http`] : []),
  ]
  const keys = keylog === undefined ? [] : ['-o', `tls.keylog_file:${keylog}`]
  const { stdout, stderr } = await succeed(
    'tshark',
    ['-n', '-r', capture, '-X', `lua_script:${DISSECTOR}`, ...decode, ...keys, ...args],
    { env: { HOME: home, XDG_CONFIG_HOME: home, WIRESHARK_CONFIG_DIR: home }, timeoutMs: 60_000 },
  )
  if (/lua|error/i.test(stderr)) throw new Error(`tshark: ${stderr.trim()}`)
  return stdout.toString('utf8')
}

/** One row for each packet that `filter` takes; each cell holds the values of its field, in order. */
export async function tsharkFields<Name extends string>(
  capture: string,
  filter: string,
  fields: readonly Name[],
  options: TsharkOptions,
): Promise<Array<Record<Name, string[]>>> {
  const wanted = fields.flatMap((field) => ['-e', field])
  const format = ['-T', 'fields', '-E', 'separator=/t', '-E', 'aggregator=|']
  const text = await tshark(capture, ['-Y', filter, ...format, ...wanted], options)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const cells = line.split('\t')
      const entries = fields.map((field, index) => [field, (cells[index] ?? '').split('|').filter(Boolean)])
      return Object.fromEntries(entries) as Record<Name, string[]>
    })
}
