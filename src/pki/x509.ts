// The one door to @peculiar/x509, which resolves its algorithms through decorator metadata and so needs
// `reflect-metadata` loaded first. Rule: no other file imports either package. Only what makes certificates
// comes here; judging them (judge.ts) does without, so that a gateway never loads it.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'

export { x509 }
