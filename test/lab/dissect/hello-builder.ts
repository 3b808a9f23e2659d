// Builds TLS hellos byte by byte for the dissector tests, so that each test says exactly what is in one.

export function u16(...numbers: number[]): Buffer {
  return Buffer.from(numbers.flatMap((number) => [number >>> 8, number & 0xff]))
}

export function vector8(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

export function vector16(bytes: Uint8Array): Buffer {
  return Buffer.concat([u16(bytes.length), bytes])
}

export type Extension = readonly [type: number, body: Uint8Array]

export const serverName = (host: string): Extension => [
  0,
  vector16(Buffer.concat([Buffer.from([0]), vector16(Buffer.from(host, 'latin1'))])),
]
export const alpn = (...protocols: (string | Uint8Array)[]): Extension => [
  16,
  vector16(Buffer.concat(protocols.map((protocol) => vector8(Buffer.from(protocol))))),
]
export const supportedVersions = (...versions: number[]): Extension => [43, vector8(u16(...versions))]
export const signatureAlgorithms = (...algorithms: number[]): Extension => [13, vector16(u16(...algorithms))]
export const supportedGroups = (...groups: number[]): Extension => [10, vector16(u16(...groups))]
export const keyShare = (...groups: number[]): Extension => [
  51,
  vector16(Buffer.concat(groups.map((group) => Buffer.concat([u16(group), vector16(Buffer.from('key'))])))),
]

export interface HelloParts {
  readonly version?: number
  readonly sessionId?: Uint8Array
  readonly ciphers?: readonly number[]
  /** Undefined leaves the whole block out. */
  readonly extensions?: readonly Extension[] | undefined
}

/** A ClientHello handshake message with its header. */
export function clientHelloMessage(parts: HelloParts = {}): Buffer {
  const { version = 0x0303, sessionId = Buffer.alloc(32, 7), ciphers = [0x1301], extensions } = parts
  const block = extensions?.map(([type, body]) => Buffer.concat([u16(type), vector16(body)]))
  const body = Buffer.concat([
    u16(version),
    Buffer.alloc(32, 0x52),
    vector8(sessionId),
    vector16(u16(...ciphers)),
    vector8(Buffer.from([0])),
    block === undefined ? Buffer.alloc(0) : vector16(Buffer.concat(block)),
  ])
  return handshake(1, body)
}

export function handshake(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type, body.length >>> 16]), u16(body.length & 0xffff), body])
}

/** `message` in records of at most `size` bytes each. */
export function records(message: Uint8Array, size = 0x4000, type = 22): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    pieces.push(Buffer.from([type, 3, 1]), vector16(message.subarray(at, at + size)))
  }
  return Buffer.concat(pieces)
}
