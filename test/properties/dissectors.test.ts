// The lab: whatever a capture holds, a dissector ends, and its fields lie in the stream. The promises
// stand beside each target in test/fuzz/targets; rule: the seed is printed, and SIGHTLINE_SEED repeats it.
import { GROUPS } from '../fuzz/targets/all.ts'
import { testTargets } from './suite.ts'

testTargets('dissectors', GROUPS.dissectors)
