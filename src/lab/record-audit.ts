// What the gateway did record, beside what its operator could see: every canary and address of a run is searched for in
// all that the gateway wrote and answered. Pure. Rule: the expected number is zero, so each find says where it stands.
import type { Information } from '../policy/exposure.ts'
import { CANARY_FIELDS, type CanaryField } from './canary.ts'
import type { View } from './cells.ts'
import { RECORD_SOURCES, type RecordAudit, type RecordSource } from './model.ts'
import type { Recording } from './recording.ts'
import { excerpt, searchCapture } from './search.ts'

/** What each word is, to whoever finds it; `neverSent` is the control's. */
const INFORMATION_OF: Readonly<Record<Exclude<CanaryField, 'neverSent'>, Information>> = {
  path: 'url-and-headers',
  query: 'url-and-headers',
  header: 'url-and-headers',
  cookie: 'url-and-headers',
  userAgent: 'url-and-headers',
  requestBody: 'content',
  responseBody: 'content',
  sitePassword: 'content',
  siteUser: 'content',
  datagram: 'content',
  proxyUser: 'client-identity',
  proxyPassword: 'client-identity',
  certificateSubject: 'client-identity',
  hostLabel: 'destination-name',
  untoldLabel: 'destination-name',
}

interface Needle {
  readonly field: string
  readonly information: Information
  readonly word: string
}

/** `answers`: what the operator's end of the refused requests sent, decrypted. There is no gateway in direct use. */
export function auditRecords(recording: Recording, answers: View): RecordAudit {
  if (recording.scenario.mode === 'direct') return { searched: [], found: [] }
  const texts = recordTexts(recording, answers)
  const needles = needlesOf(recording)
  return {
    searched: RECORD_SOURCES.map((source) => ({ source, bytes: texts[source].length })),
    found: RECORD_SOURCES.flatMap((source) =>
      needles.flatMap(({ field, information, word }) =>
        searchCapture(texts[source], word).map((hit) => ({
          source,
          information,
          field,
          encoding: hit.encoding,
          excerpt: excerpt(texts[source], hit),
        })),
      ),
    ),
  }
}

/** All that was searched. */
export function recordTexts(recording: Recording, answers: View): Record<RecordSource, Uint8Array> {
  return {
    ...mapped(recording.written),
    'error-answers': Buffer.concat(
      answers.readable.filter(({ layer }) => layer.direction === 'down').map(({ layer }) => layer.bytes),
    ),
  }
}

function mapped(written: Recording['written']): Record<keyof Recording['written'], Uint8Array> {
  return {
    'log-debug': Buffer.from(written['log-debug']),
    'log-info': Buffer.from(written['log-info']),
    'log-warn': Buffer.from(written['log-warn']),
    'log-error': Buffer.from(written['log-error']),
    metrics: Buffer.from(written.metrics),
    admin: Buffer.from(written.admin),
  }
}

function needlesOf({ canaries, parties }: Recording): Needle[] {
  const planted = CANARY_FIELDS.flatMap((field): Needle[] =>
    field === 'neverSent' ? [] : [{ field, information: INFORMATION_OF[field], word: canaries[field] }],
  )
  return [
    ...planted,
    { field: 'client-address', information: 'client-address', word: parties.client },
    { field: 'destination-address', information: 'destination-address', word: parties.destination },
  ]
}
