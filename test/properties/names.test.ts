// Destinations and rules: hosts, egress rules, listen addresses, the hosts file. The promises
// stand beside each target in test/fuzz/targets; rule: the seed is printed, and SIGHTLINE_SEED repeats it.
import { GROUPS } from '../fuzz/targets/all.ts'
import { testTargets } from './suite.ts'

testTargets('names', GROUPS.names)
