// Audits in tests: one by the proxy's URL, and what its result says.
import { readProxyUrl } from '../../../src/config/proxy-url.ts'
import { runAudit, type AuditResult } from '../../../src/lab/audit/audit.ts'
import type { Question } from '../../../src/lab/audit/checks.ts'
import type { ProbeAddress } from '../../../src/lab/audit/probe-url.ts'
import type { CellValue } from '../../../src/lab/model.ts'
import { cellOf } from '../../../src/lab/report/words.ts'
import type { Information, Observer } from '../../../src/policy/exposure.ts'

export function audit(
  url: string,
  options: { readonly authority?: string; readonly origin?: ProbeAddress } = {},
): Promise<AuditResult> {
  const proxy = readProxyUrl(url, url.startsWith('socks') ? 'socks' : 'http')
  if ('problem' in proxy) throw new Error(proxy.problem)
  return runAudit({ proxy, origin: undefined, seed: `audit of ${url}`, ...options })
}

export function answers(result: AuditResult): Record<Question, string> {
  return Object.fromEntries(result.checks.map(({ question, answer }) => [question, answer])) as Record<
    Question,
    string
  >
}

export function says(result: AuditResult, question: Question): string {
  return result.checks.find((check) => check.question === question)?.says.join('\n') ?? ''
}

export function value(
  result: AuditResult,
  scheme: 'http' | 'https' | 'udp',
  observer: Observer,
  information: Information,
): CellValue | undefined {
  const run = result.runs.find((one) => one.scheme === scheme)
  return run && cellOf(run, observer, information)?.value
}

export const HONEST = {
  'headers-name-you': 'no',
  'request-changed': 'no',
  'response-changed': 'no',
  'tls-intercepted': 'no',
  'report-forged': 'no',
} as const

/** How the controls of every run ended, each way once. */
export function controls(result: AuditResult): string[] {
  return [...new Set(result.runs.flatMap((run) => [run.controls.negative, run.controls.positive]))]
}

export const ALL_PASSED = ['passed']
