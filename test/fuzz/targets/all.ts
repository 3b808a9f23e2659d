// Every decoder that is fuzzed, in the groups of the property tests. Rule: a decoder of bytes or text that come from
// outside stands here.
import type { Target } from '../target.ts'
import { dissectTargets } from './dissect.ts'
import { dnsMessage } from './dns.ts'
import { configFile, revocationListFile, usersFile } from './files.ts'
import { basicCredentials, connectAnswer, httpAbsoluteTarget, httpAuthority, httpFields } from './http.ts'
import { muxAddress, muxDatagram, muxFrame, muxFrameValid } from './mux-frame.ts'
import { muxSessionClient, muxSessionGateway } from './mux-session.ts'
import { egressRule, firstBytes, firstDatagram, hostsFile, listenAddress, normalizedHost } from './names.ts'
import { proxyHeader } from './proxy-header.ts'
import { socksHandshake, socksUdp } from './socks.ts'
import { websocketMessages } from './websocket-messages.ts'

export const GROUPS = {
  handshakes: [socksHandshake, socksUdp, proxyHeader, firstBytes, firstDatagram],
  mux: [
    muxAddress,
    muxDatagram,
    muxFrame,
    muxFrameValid,
    muxSessionClient,
    muxSessionGateway,
    websocketMessages,
  ],
  http: [httpAuthority, httpAbsoluteTarget, httpFields, basicCredentials, connectAnswer],
  names: [normalizedHost, egressRule, listenAddress, hostsFile],
  files: [usersFile, revocationListFile],
  config: [configFile],
  dissectors: [...dissectTargets, dnsMessage],
} as const satisfies Record<string, readonly Target[]>

export const TARGETS: readonly Target[] = Object.values(GROUPS).flat()
