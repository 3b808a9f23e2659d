// Tells what protocol a relayed stream speaks from its first bytes: TLS, HTTP, SSH or something else. Rule:
// it looks at no more than the first 16 bytes of each direction, and keeps none of them once it has decided.

/** `none`: the stream ended before the client sent anything. */
export type FirstBytes = 'tls' | 'http' | 'ssh' | 'other' | 'none'

type Match = FirstBytes | 'more'

const WINDOW_BYTES = 16
const MAX_TLS_RECORD_BYTES = 16_384

export class FirstBytesClassifier {
  #up = ''
  #down = ''
  /** `ahead`: it greeted before the client spoke, in a protocol that is none of ours. */
  #server: 'unread' | 'ahead' | 'passed' = 'unread'
  #decision: FirstBytes | undefined

  /**
   * Takes the next bytes of one direction, in any division. Gives the decision from the moment that it
   * stands, and undefined before. A server that speaks first decides for SSH and HTTP; after any other
   * greeting the stream is `other` as soon as the client speaks.
   */
  push(direction: 'up' | 'down', chunk: Uint8Array): FirstBytes | undefined {
    if (this.#decision !== undefined || chunk.length === 0) return this.#decision
    return direction === 'up' ? this.#pushUp(chunk) : this.#pushDown(chunk)
  }

  /**
   * The decision at the end of the stream: `other` where the bytes were too few, `none` where the client sent
   * none.
   */
  end(): FirstBytes {
    return this.#decision ?? this.#decide(this.#up === '' ? 'none' : 'other')
  }

  #pushUp(chunk: Uint8Array): FirstBytes | undefined {
    this.#up = extend(this.#up, chunk)
    const match = this.#server === 'ahead' ? 'other' : matchUp(this.#up)
    return match === 'more' ? undefined : this.#decide(match)
  }

  #pushDown(chunk: Uint8Array): FirstBytes | undefined {
    if (this.#server !== 'unread') return undefined
    this.#down = extend(this.#down, chunk)
    const match = matchDown(this.#down)
    if (match === 'more') return undefined
    if (match !== 'other') return this.#decide(match)
    this.#server = this.#up === '' ? 'ahead' : 'passed'
    this.#down = ''
    return undefined
  }

  #decide(decision: FirstBytes): FirstBytes {
    this.#decision = decision
    this.#up = ''
    this.#down = ''
    return decision
  }
}

/** One character a byte, so that patterns can be matched on binary too. */
function extend(seen: string, chunk: Uint8Array): string {
  return seen + String.fromCharCode(...chunk.subarray(0, WINDOW_BYTES - seen.length))
}

function matchUp(seen: string): Match {
  const matches = [matchTls(seen), matchText(seen, 'SSH-', 'ssh'), matchHttpRequest(seen)]
  const decided = matches.find((match) => match !== 'more' && match !== 'other')
  if (decided !== undefined) return decided
  return matches.includes('more') && seen.length < WINDOW_BYTES ? 'more' : 'other'
}

function matchDown(seen: string): Match {
  const ssh = matchText(seen, 'SSH-', 'ssh')
  return ssh === 'other' ? matchText(seen, 'HTTP/1.', 'http') : ssh
}

/** A ClientHello: record type 22, version 3.0 to 3.4, length (RFC 8446 §5.1), handshake type 1 (§4). */
function matchTls(seen: string): Match {
  const byte = (index: number) => seen.charCodeAt(index)
  if (byte(0) !== 22 || (seen.length > 1 && byte(1) !== 3) || (seen.length > 2 && byte(2) > 4)) return 'other'
  const length = byte(3) * 256 + byte(4)
  if (seen.length > 4 && (length < 1 || length > MAX_TLS_RECORD_BYTES)) return 'other'
  if (seen.length > 5) return byte(5) === 1 ? 'tls' : 'other'
  return 'more'
}

/**
 * A request line (RFC 9112 §3): a method in capitals, a space, then a path, `*` or `http`; an authority after
 * CONNECT alone, since `EHLO example.org` and `NICK name` have that shape too. `PRI *` is the preface of
 * HTTP/2.
 */
function matchHttpRequest(seen: string): Match {
  const space = seen.indexOf(' ')
  const method = space < 0 ? seen : seen.slice(0, space)
  if (!/^[A-Z][A-Z-]*$/.test(method)) return 'other'
  if (space < 0) return 'more'
  if (method.length < 3) return 'other'
  const target = seen.slice(space + 1)
  if (target === '') return seen.length === WINDOW_BYTES ? 'http' : 'more'
  if (/^[/*]/.test(target)) return 'http'
  if (method === 'CONNECT') return /^[A-Za-z0-9_[]/.test(target) ? 'http' : 'other'
  return matchText(target.toLowerCase(), 'http'.slice(0, WINDOW_BYTES - space - 1), 'http')
}

function matchText(seen: string, text: string, found: FirstBytes): Match {
  if (seen.startsWith(text)) return found
  return text.startsWith(seen) ? 'more' : 'other'
}
