// The decryption against the published trace of RFC 8448 section 3 (simple 1-RTT handshake), whose bytes and
// secrets no code of ours made; and against records built onto that trace for what real peers rarely send.
import { createCipheriv, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hkdfExpandLabel } from '../../../src/lab/decrypt/key-schedule.ts'
import { decryptTls13 } from '../../../src/lab/decrypt/tls13.ts'

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex')

const CLIENT_HELLO = hex(
  '16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece70000061301',
  '13031302010000910000000b0009000006736572766572ff01000100000a00140012001d001700180019010001010102',
  '0103010400230000003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aa',
  'f2c002b0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d0002',
  '0101001c00024001',
)
const SERVER_HELLO = hex(
  '160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e269280013010000',
  '2e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304',
)
const SERVER_FLIGHT = hex(
  '17030302a2d1ff334a56f5bff6594a07cc87b580233f500f45e489e7f33af35edf7869fcf40aa40aa2b8ea73f848a7ca',
  '07612ef9f945cb960b4068905123ea78b111b429ba9191cd05d2a389280f526134aadc7fc78c4b729df828b5ecf7b13b',
  'd9aefb0e57f271585b8ea9bb355c7c79020716cfb9b1183ef3ab20e37d57a6b9d7477609aee6e122a4cf514273252',
  '50c7d0e509289444c9b3a648f1d71035d2ed65b0e3cdd0cbae8bf2d0b227812cbb360987255cc744110c453baa4fcd61',
  '0928d809810e4b7ed1a8fd991f06aa6248204797e36a6a73b70a2559c09ead686945ba246ab66e5edd8044b4c6de3f',
  'cf2a89441ac66272fd8fb330ef8190579b3684596c960bd596eea520a56a8d650f563aad27409960dca63d3e688611ea',
  '5e22f4415cf9538d51a200c27034272968a264ed6540c84838d89f72c24461aad6d26f59ecaba9acbbb317b66d902f4f',
  '292a36ac1b639c637ce343117b659622245317b49eeda0c6258f100d7d961ffb138647e92ea330faeea6dfa31c7a84dc',
  '3bd7e1b7a6c7178af36879018e3f252107f243d243dc7339d5684c8b0378bf30244da8c87c843f5e56eb4c5e8280a2b4',
  '8052cf93b16499a66db7cca71e4599426f7d461e66f99882bd89fc50800becca62d6c74116dbd2972fda1fa80f85df88',
  '1edbe5a37668936b335583b599186dc5c6918a396fa48a181d6b6fa4f9d62d513afbb992f2b992f67f8afe67f76913fa',
  '388cb5630c8ca01e0c65d11c66a1e2ac4c85977b7c7a6999bbf10dc35ae69f5515614636c0b9b68c19ed2e31c0b3b667',
  '63038ebba42f3b38edc0399f3a9f23faa63978c317fc9fa66a73f60f0504de93b5b845e275592c12335ee340bbc4fddd',
  '502784016e4b3be7ef04dda49f4b440a30cb5d2af939828fd4ae3794e44f94df5a631ede42c1719bfdabf0253fe5175b',
  'e898e750edc53370d2b',
)
const CLIENT_FINISHED = hex(
  '170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1c',
  'aeacab6867d726c40546',
)
const CLIENT_DATA = hex(
  '1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b',
  '62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4',
)
const CLIENT_ALERT = hex('1703030013c9872760655666b74d7ff1153efd6db6d0b0e3')
const CLIENT_RANDOM = 'cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7'
const SECRETS = {
  CLIENT_HANDSHAKE_TRAFFIC_SECRET: 'b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21',
  SERVER_HANDSHAKE_TRAFFIC_SECRET: 'b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38',
  CLIENT_TRAFFIC_SECRET_0: '9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5',
  SERVER_TRAFFIC_SECRET_0: 'a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643',
}
const KEYLOG = Object.entries(SECRETS)
  .map(([label, secret]) => `${label} ${CLIENT_RANDOM} ${secret}\n`)
  .join('')
const COUNTING = Buffer.from(Array.from({ length: 50 }, (_, at) => at))
const TYPE = { alert: 21, handshake: 22, data: 23 }

const decrypt = (client: readonly Buffer[], server: readonly Buffer[] = [SERVER_FLIGHT]) =>
  decryptTls13({
    clientBytes: Buffer.concat([CLIENT_HELLO, ...client]),
    serverBytes: Buffer.concat([SERVER_HELLO, ...server]),
    keylog: KEYLOG,
  })
const failure = (words: string): unknown =>
  expect.objectContaining({ code: 'tls-failed', message: expect.stringContaining(words) })

/** RFC 8446 section 7.1 for SHA-256 and one block, written out once more. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])])
  return createHmac('sha256', secret).update(info).digest().subarray(0, length)
}

/** A protected record (RFC 8446 section 5.2) under `secret`, with `padding` zeros inside. */
function seal(secret: Buffer, sequence: number, type: number, content: Uint8Array, padding = 0): Buffer {
  const inner = Buffer.concat([content, Buffer.from([type]), Buffer.alloc(padding)])
  const header = Buffer.from([23, 3, 3, 0, 0])
  header.writeUInt16BE(inner.length + 16, 3)
  const nonce = Buffer.from(expand(secret, 'iv', 12))
  nonce[11] = (nonce[11] ?? 0) ^ sequence
  const cipher = createCipheriv('aes-128-gcm', expand(secret, 'key', 16), nonce).setAAD(header)
  return Buffer.concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()])
}

const application = hex(SECRETS.CLIENT_TRAFFIC_SECRET_0)
const next = (secret: Buffer): Buffer => expand(secret, 'traffic upd', 32)
const KEY_UPDATE = Buffer.from([24, 0, 0, 1, 0])
const text = (content: string): Buffer => Buffer.from(content)

describe('RFC 8448 section 3', () => {
  it.each([
    [SECRETS.SERVER_HANDSHAKE_TRAFFIC_SECRET, '3fce516009c21727d0f2e4e86ee403bc', '5d313eb2671276ee13000b30'],
    [SECRETS.CLIENT_HANDSHAKE_TRAFFIC_SECRET, 'dbfaa693d1762c5b666af5d950258d01', '5bd3c71b836e0b76bb73265f'],
    [SECRETS.CLIENT_TRAFFIC_SECRET_0, '17422dda596ed5d9acd890e3c63f5051', '5b78923dee08579033e523d9'],
    [SECRETS.SERVER_TRAFFIC_SECRET_0, '9f02283b6c9c07efc26bb9f2ac92e356', 'cf782b88dd83549aadf1e984'],
  ])('derives the keys of the trace from %s', (secret, key, iv) => {
    expect(hkdfExpandLabel('sha256', hex(secret), 'key', 16)).toEqual(hex(key))
    expect(hkdfExpandLabel('sha256', hex(secret), 'iv', 12)).toEqual(hex(iv))
  })

  it('decrypts the trace and agrees with its Finished messages', () => {
    const found = decrypt([CLIENT_FINISHED, CLIENT_DATA, CLIENT_ALERT])
    expect(COUNTING.equals(found.client)).toBe(true)
    expect(found).toMatchObject({ cipher: 'TLS_AES_128_GCM_SHA256', group: 'x25519' })
    expect(found.alerts.client).toEqual([{ description: 0, encrypted: true }])
    expect(found.handshake.server.map((message) => message[0])).toEqual([2, 8, 11, 15, 20])
    expect(found.handshake.client[1]).toEqual(
      hex('14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61'),
    )
  })

  it("refuses a secret that is not of the suite's length", () => {
    const { SERVER_TRAFFIC_SECRET_0: secret } = SECRETS
    const keylog = KEYLOG.replace(secret, secret + secret.slice(32))
    const clientBytes = Buffer.concat([CLIENT_HELLO, CLIENT_FINISHED])
    const capture = { clientBytes, serverBytes: Buffer.concat([SERVER_HELLO, SERVER_FLIGHT]), keylog }
    expect(() => decryptTls13(capture)).toThrow(failure('SERVER_TRAFFIC_SECRET_0 does not fit'))
  })

  it('passes over ChangeCipherSpec records and notes alerts in the clear', () => {
    const changeCipherSpec = hex('140303000101')
    const found = decrypt(
      [changeCipherSpec, CLIENT_FINISHED, hex('15030300020228')],
      [changeCipherSpec, SERVER_FLIGHT],
    )
    expect(found.alerts.client).toEqual([{ description: 40, encrypted: false }])
  })
})

describe('records built onto the trace', () => {
  const before = [CLIENT_FINISHED, CLIENT_DATA]

  it('changes keys at each KeyUpdate (RFC 8446 section 7.2)', () => {
    const second = next(application)
    const third = next(second)
    const found = decrypt([
      ...before,
      seal(application, 1, TYPE.handshake, KEY_UPDATE),
      seal(second, 0, TYPE.data, text('under the second key')),
      seal(second, 1, TYPE.handshake, KEY_UPDATE),
      seal(third, 0, TYPE.data, text('; under the third')),
    ])
    expect(Buffer.from(found.client.subarray(50)).toString()).toBe('under the second key; under the third')
    expect(found.handshake.client.map((message) => message[0])).toEqual([1, 20, 24, 24])
  })

  it('fails where keys should have changed and did not', () => {
    const update = seal(application, 1, TYPE.handshake, KEY_UPDATE)
    expect(() => decrypt([...before, update, seal(application, 2, TYPE.data, text('x'))])).toThrow(
      failure('authentication tag'),
    )
  })

  it('strips padding, and drops empty application data', () => {
    const records = [
      seal(application, 1, TYPE.data, text('a\u0000'), 200),
      seal(application, 2, TYPE.data, text(''), 9),
      seal(application, 3, TYPE.data, text('b')),
    ]
    const found = decrypt([...before, ...records])
    expect(Buffer.from(found.client.subarray(50)).toString('latin1')).toBe('a\u0000b')
    expect(found.spans.client).toHaveLength(3)
  })

  it('joins a message from fragments and takes several from one record', () => {
    const ticket = Buffer.concat([Buffer.from([4, 0, 0, 60]), Buffer.alloc(60, 9)])
    const found = decrypt([
      ...before,
      seal(application, 1, TYPE.handshake, ticket.subarray(0, 2)),
      seal(application, 2, TYPE.handshake, ticket.subarray(2, -1), 5),
      seal(application, 3, TYPE.handshake, Buffer.concat([ticket.subarray(-1), ticket])),
    ])
    expect(found.handshake.client.slice(2)).toEqual([ticket, ticket])
  })

  const handshakeSecret = hex(SECRETS.CLIENT_HANDSHAKE_TRAFFIC_SECRET)
  it.each([
    ['an inner type', [...before, seal(application, 1, 0, text(''), 20)], 'no content type'],
    ['a known inner type', [...before, seal(application, 1, 99, text('x'))], 'content type 99'],
    ['the end of the handshake', [seal(handshakeSecret, 0, TYPE.data, text('early'))], 'before the end'],
    ['a Finished before it', [seal(handshakeSecret, 0, TYPE.handshake, KEY_UPDATE)], 'wrong place'],
    [
      'a record of its own for the key change',
      [...before, seal(application, 1, TYPE.handshake, Buffer.concat([KEY_UPDATE, KEY_UPDATE]))],
      'across a change of keys',
    ],
    [
      'a whole message before other data',
      [
        ...before,
        seal(application, 1, TYPE.handshake, KEY_UPDATE.subarray(0, 3)),
        seal(application, 2, TYPE.data, text('x')),
      ],
      'inside a handshake message',
    ],
    ['encryption', [...before, hex('1603030004', '18000000')], 'should be encrypted'],
    ['a tag', [...before, hex('1703030003aabbcc')], 'too short'],
    [
      'a true Finished',
      [seal(handshakeSecret, 0, TYPE.handshake, Buffer.concat([hex('14000020'), Buffer.alloc(32)]))],
      "client's Finished",
    ],
  ])('fails without %s', (_, records, words) => {
    expect(() => decrypt(records)).toThrow(failure(words))
  })
})
