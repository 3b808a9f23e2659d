// Our own modes under audit, as any proxy that somebody sold: what the audit says of each is what the truth table says.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuditResult } from '../../../src/lab/audit/audit.ts'
import { startStack, type Stack } from '../../support/stacks.ts'
import { ALL_PASSED, answers, audit, controls, HONEST, says, value } from './audits.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack[Symbol.asyncDispose]())

function outside(result: AuditResult): string[] {
  return result.coverage.filter((one) => one.outside).map(({ traffic }) => traffic)
}

describe('the audit of', () => {
  it('the HTTP proxy: plain, and honest', async () => {
    const result = await audit(`http://127.0.0.1:${stack.ports.http}`)
    expect(result.answer).toMatch(/^this is a plain proxy: /)
    expect(answers(result)).toEqual({
      ...HONEST,
      'link-encrypted': 'no',
      'program-named': 'yes',
      'names-by-proxy': 'yes',
      'udp-carried': 'no',
    })
    expect(controls(result)).toEqual(ALL_PASSED)
    expect(value(result, 'http', 'access-network', 'content')).toBe('clear')
    expect(value(result, 'https', 'access-network', 'content')).toBe('sealed')
    expect(value(result, 'https', 'access-network', 'destination-name')).toBe('clear')
    expect(value(result, 'https', 'destination', 'client-fingerprint')).toBe('clear')
    expect(outside(result)).toEqual(['udp', 'untold-application'])
  })

  it('the encrypted proxy: nothing is read on the link, http sites by the operator', async () => {
    const url = `https://localhost:${stack.ports.https}`
    const result = await audit(url, { authority: stack.authority })
    expect(result.answer).toMatch(/^this is an encrypted proxy: /)
    expect(answers(result)).toMatchObject({ ...HONEST, 'link-encrypted': 'yes', 'program-named': 'no' })
    expect(says(result, 'link-encrypted')).toMatch(/^TLSv13, key exchange X25519.*; its certificate stands/)
    expect(controls(result)).toEqual(ALL_PASSED)
    for (const information of ['destination-name', 'url-and-headers', 'content'] as const)
      expect(value(result, 'http', 'access-network', information)).toBe('sealed')
    expect(value(result, 'http', 'gateway-operator', 'content')).toBe('clear')
    expect(value(result, 'https', 'gateway-operator', 'content')).toBe('sealed')

    const unproved = await audit(url)
    expect(says(unproved, 'link-encrypted')).toContain('its certificate does NOT stand')
    expect(unproved.answer).toContain('under a certificate that nobody here vouches for')
  })

  it('the SOCKS proxy, told names: they are resolved by it, and UDP is carried', async () => {
    const result = await audit(`socks5h://127.0.0.1:${stack.ports.socks}`)
    expect(result.answer).toMatch(/^this is a plain SOCKS proxy: /)
    expect(answers(result)).toEqual({
      ...HONEST,
      'link-encrypted': 'no',
      'program-named': 'no',
      'names-by-proxy': 'yes',
      'udp-carried': 'yes',
    })
    expect(outside(result)).toEqual(['untold-application'])
    expect(value(result, 'http', 'access-network', 'destination-address')).toBe('inferable')
    expect(says(result, 'udp-carried')).toContain('its word was readable in the datagrams of the link')
    expect(controls(result)).toEqual(ALL_PASSED)
    for (const observer of ['access-network', 'gateway-operator', 'destination'] as const)
      expect(value(result, 'udp', observer, 'content')).toBe('clear')
  })

  it('the SOCKS proxy, told addresses: you resolve names, and the look-up is seen', async () => {
    const result = await audit(`socks5://127.0.0.1:${stack.ports.socks}`)
    expect(answers(result)).toMatchObject({ 'names-by-proxy': 'no', 'udp-carried': 'yes' })
    expect(says(result, 'names-by-proxy')).toContain('it takes names too')
    expect(outside(result)).toEqual(['client-dns', 'untold-application'])
    expect(value(result, 'http', 'resolver', 'destination-name')).toBe('clear')
    expect(value(result, 'http', 'access-network', 'destination-address')).toBe('clear')
  })

  it("a tunnel client's listener: the link that was measured is the one to it, and the audit says so", async () => {
    const result = await audit(`socks5h://127.0.0.1:${stack.ports.client}`)
    expect(answers(result)).toMatchObject({ ...HONEST, 'link-encrypted': 'no' })
    expect(result.notes.join('\n')).toContain('does not leave this machine')
  })
})
