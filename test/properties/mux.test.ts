// The tunnel: addresses, frames and whole sessions, with a peer that sends anything. The promises
// stand beside each target in test/fuzz/targets; rule: the seed is printed, and SIGHTLINE_SEED repeats it.
import { GROUPS } from '../fuzz/targets/all.ts'
import { testTargets } from './suite.ts'

testTargets('mux', GROUPS.mux)
