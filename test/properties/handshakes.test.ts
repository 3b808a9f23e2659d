// What a client says first: SOCKS, its datagrams, the PROXY header, the first bytes of a stream. The promises
// stand beside each target in test/fuzz/targets; rule: the seed is printed, and SIGHTLINE_SEED repeats it.
import { GROUPS } from '../fuzz/targets/all.ts'
import { testTargets } from './suite.ts'

testTargets('handshakes', GROUPS.handshakes)
