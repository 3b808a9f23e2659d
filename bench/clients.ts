// Clients of the benchmarks, one for each way to reach the origin: bare sockets that say the handshake in bytes, so
// that what is measured is the proxy and not the client.
import net from 'node:net'
import tls from 'node:tls'

export interface Way {
  readonly name: string
  /** Of a SOCKS5 proxy: what another process needs to go the same way. */
  readonly places?: { readonly proxy: Place; readonly origin: Place }
  /** Opens a connection through which `GET` reaches the origin, and gives the request line's target. */
  open(path: string): Promise<{ socket: net.Socket; target: string }>
}

export interface Place {
  readonly host: string
  readonly port: number
}

function connected(socket: net.Socket, event = 'connect'): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Reads until `whole` says that the answer is complete; what follows it stays in the socket. */
function answer(socket: net.Socket, whole: (bytes: Buffer) => number): Promise<void> {
  return new Promise((resolve, reject) => {
    let got: Buffer = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      got = got.length === 0 ? chunk : Buffer.concat([got, chunk])
      const end = whole(got)
      if (end === 0) return
      socket.off('data', onData)
      socket.pause()
      if (end < got.length) socket.unshift(got.subarray(end))
      resolve()
    }
    socket.on('data', onData)
    socket.resume()
    socket.once('error', reject)
    socket.once('end', () => reject(new Error('the proxy closed before it answered')))
  })
}

const dial = (place: Place): Promise<net.Socket> => connected(net.connect({ ...place, noDelay: true }))

export function direct(origin: Place): Way {
  return { name: 'direct', open: async (path) => ({ socket: await dial(origin), target: path }) }
}

/** One absolute-form request a connection. */
export function httpForward(proxy: Place, origin: Place): Way {
  return {
    name: 'http-proxy (absolute-form)',
    open: async (path) => ({
      socket: await dial(proxy),
      target: `http://${origin.host}:${origin.port}${path}`,
    }),
  }
}

async function connectThrough(socket: net.Socket, origin: Place): Promise<net.Socket> {
  socket.write(
    `CONNECT ${origin.host}:${origin.port} HTTP/1.1\r\nHost: ${origin.host}:${origin.port}\r\n\r\n`,
  )
  await answer(socket, (bytes) => {
    const end = bytes.indexOf('\r\n\r\n')
    if (end !== -1 && !bytes.toString('latin1', 0, 12).includes(' 200'))
      throw new Error(bytes.toString('latin1'))
    return end === -1 ? 0 : end + 4
  })
  return socket
}

export function httpConnect(proxy: Place, origin: Place): Way {
  return {
    name: 'http-proxy',
    open: async (path) => ({ socket: await connectThrough(await dial(proxy), origin), target: path }),
  }
}

export function httpsConnect(proxy: Place, origin: Place, authority: string): Way {
  return {
    name: 'https-proxy',
    open: async (path) => {
      const secure = tls.connect({ ...proxy, ca: authority, servername: 'localhost' })
      return { socket: await connectThrough(await connected(secure, 'secureConnect'), origin), target: path }
    },
  }
}

export function socks5(name: string, proxy: Place, origin: Place): Way {
  const address = origin.host.split('.').map(Number)
  const request = Buffer.from([5, 1, 0, 1, ...address, origin.port >> 8, origin.port & 0xff])
  return {
    name,
    places: { proxy, origin },
    open: async (path) => {
      const socket = await dial(proxy)
      socket.write(Buffer.from([5, 1, 0]))
      await answer(socket, (bytes) => (bytes.length >= 2 ? 2 : 0))
      socket.write(request)
      await answer(socket, (bytes) => {
        if (bytes.length >= 2 && bytes[1] !== 0) throw new Error(`SOCKS reply ${bytes[1]}`)
        return bytes.length >= 10 ? 10 : 0
      })
      return { socket, target: path }
    },
  }
}
