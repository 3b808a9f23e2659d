// A server that speaks as much RESP as a test needs, and says what the test decides: to be a store that lies, floods, or
// says nothing. Rule: it keeps every command that came.
import net from 'node:net'

/** Bytes to answer a command with; undefined answers nothing. */
export type Answer = (command: readonly string[], socket: net.Socket) => string | undefined

export interface StorePeer extends AsyncDisposable {
  readonly port: number
  readonly commands: string[][]
  /** Decides every command from now on. */
  answer: Answer
  /** Says something on a channel to all that are connected. */
  call(channel: string): void
  /** Ends every connection that is open. */
  cut(): void
  readonly connections: number
}

const OK = '+OK\r\n'
export const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`

/** What a healthy one that holds nothing says. */
export const emptyStore: Answer = ([name = '', first = '']) => {
  switch (name.toUpperCase()) {
    case 'HELLO':
      return `%1\r\n${bulk('proto')}:3\r\n`
    case 'SUBSCRIBE':
      return `>3\r\n${bulk('subscribe')}${bulk(first)}:1\r\n`
    case 'GETRANGE':
      return bulk('')
    case 'PUBLISH':
      return ':0\r\n'
    default:
      return OK
  }
}

export async function startStorePeer(answer: Answer = emptyStore): Promise<StorePeer> {
  const sockets = new Set<net.Socket>()
  const commands: string[][] = []
  const server = net.createServer((socket) => {
    sockets.add(socket)
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let read = readCommand(rest); read !== undefined; read = readCommand(rest)) {
        rest = rest.subarray(read.bytes)
        commands.push(read.command)
        const said = peer.answer(read.command, socket)
        if (said !== undefined && socket.writable) socket.write(said)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const peer: StorePeer = {
    port: (server.address() as net.AddressInfo).port,
    commands,
    answer,
    call: (channel) => {
      for (const socket of sockets) socket.write(`>3\r\n${bulk('message')}${bulk(channel)}${bulk('look')}`)
    },
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    get connections() {
      return sockets.size
    },
    [Symbol.asyncDispose]: async () => {
      peer.cut()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return peer
}

/** One array of bulk strings, where it is whole. */
function readCommand(bytes: Buffer): { readonly command: string[]; readonly bytes: number } | undefined {
  const line = (from: number): { readonly text: string; readonly next: number } | undefined => {
    const end = bytes.indexOf('\r\n', from)
    return end < 0 ? undefined : { text: bytes.toString('latin1', from, end), next: end + 2 }
  }
  const head = line(0)
  if (head === undefined) return undefined
  const command: string[] = []
  let at = head.next
  for (let left = Number(head.text.slice(1)); left > 0; left -= 1) {
    const size = line(at)
    if (size === undefined) return undefined
    const end = size.next + Number(size.text.slice(1))
    if (bytes.length < end + 2) return undefined
    command.push(bytes.toString('utf8', size.next, end))
    at = end + 2
  }
  return { command, bytes: at }
}
