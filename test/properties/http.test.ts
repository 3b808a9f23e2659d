// HTTP beside llhttp: targets, fields, credentials, the answers of upstream proxies. The promises
// stand beside each target in test/fuzz/targets; rule: the seed is printed, and SIGHTLINE_SEED repeats it.
import { GROUPS } from '../fuzz/targets/all.ts'
import { testTargets } from './suite.ts'

testTargets('http', GROUPS.http)
