// The console's page as HTML. Pure. Rule: every text that comes from elsewhere is escaped.
import { INFORMATION, type Observer } from '../../policy/exposure.ts'
import { runName, type CellValue, type LabResult, type LabRun } from '../model.ts'

export interface ConsoleFacts {
  readonly addresses: ReadonlyArray<{ readonly name: string; readonly address: string }>
  readonly tries: ReadonlyArray<{ readonly what: string; readonly command: string }>
}

const SHOWN: ReadonlyArray<{ readonly observer: Observer; readonly title: string }> = [
  { observer: 'access-network', title: 'Access network: whoever carries what leaves the client' },
  { observer: 'gateway-operator', title: 'Gateway operator: whoever runs the proxy or the gateway' },
  { observer: 'destination', title: 'Destination: the site that is visited' },
]
const WORDS: Readonly<Record<CellValue, string>> = {
  clear: 'clear',
  sealed: 'sealed',
  inferable: 'inferable',
  absent: 'absent',
  'not-measured': 'not measured',
}

/** What each name of the `ready` line is. */
const MEANINGS: Readonly<Record<string, string>> = {
  http: 'HTTP proxy, not encrypted',
  socks: 'SOCKS proxy, not encrypted',
  https: 'HTTP proxy on TLS',
  tunnel: 'gateway of the tunnel',
  client: 'SOCKS and HTTP into the tunnel',
  console: 'this page',
  admin: 'metrics and health',
}

const LEGEND: ReadonlyArray<readonly [CellValue, string]> = [
  ['clear', 'readable there, in the bytes or from the kernel'],
  ['sealed', 'it was there, encrypted: found by decrypting the capture'],
  ['inferable', 'not there, but a procedure that was run recovers it'],
  ['absent', 'looked for, and not there'],
  ['not-measured', 'there is no such party in this mode'],
]

const STYLE = `
:root { color-scheme: light dark; --line: #8885; --clear: #b42318; --sealed: #067647; --inferable: #b54708; }
@media (prefers-color-scheme: dark) { :root { --clear: #ff8a7a; --sealed: #5fd39a; --inferable: #fdb022; } }
body { background: Canvas; color: CanvasText; font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem; max-width: 56rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.3rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1.1rem; margin: 1.75rem 0 .25rem; } h4 { font-size: 1rem; font-weight: 600; margin: 1.25rem 0 .25rem; }
pre { margin: .25rem 0 1rem; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 6px; font-size: .9rem; }
pre, li { white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.35; }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
table.matrix { table-layout: fixed; width: 100%; } table.matrix tr > :first-child { width: 25%; }
.clear { color: var(--clear); font-weight: 600; } .sealed { color: var(--sealed); } .inferable { color: var(--inferable); }
.absent, .not-measured { opacity: .7; } .red { border-left: 4px solid var(--clear); padding-left: 1rem; } ul { padding-left: 1.2rem; }
button { font: inherit; padding: .4rem 1rem; }
@media (max-width: 40rem) { body { padding: .9rem; } table.matrix { font-size: .7rem; } table.matrix tr > :first-child { width: 22%; } table.matrix th, table.matrix td { padding-right: .2rem; } }`

export function consolePage(facts: ConsoleFacts, result: LabResult | undefined): string {
  const rows = facts.addresses.map(
    ({ name, address }) =>
      `<tr><th scope="row">${escape(name)}</th><td>${escape(address)}</td><td>${MEANINGS[name] ?? ''}</td></tr>`,
  )
  const tries = facts.tries.map(
    ({ what, command }) => `<h3>${escape(what)}</h3><pre>${escape(command)}</pre>`,
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Sightline: who can read what</title><style>${STYLE}</style></head><body><main>
<h1>Sightline</h1>
<p>A plain proxy changes your address and encrypts nothing. A tunnel encrypts the way to its operator, and the operator can
still read what the site itself does not encrypt. This page shows both, from captured bytes.</p>
<h2>What runs here</h2><table>${rows.join('')}</table>
<h2 id="matrix">Who can read what</h2>
<form method="post" action="/measure"><button>Measure now</button></form>
${result === undefined ? '<p>Not measured yet. It takes a second: the same request is sent through each mode, and what passes at each vantage is recorded and searched.</p>' : matrix(result)}
<h2>Try it</h2>${tries.join('')}
<p>A tunnel that carries what programs send to a SOCKS port is an encrypted proxy. “VPN” means the whole device. Whatever is not
sent through it is not protected by it.</p>
</main></body></html>
`
}

function matrix(result: LabResult): string {
  const tables = (['http', 'https'] as const).flatMap((scheme) => {
    const runs = result.runs.filter((run) => run.scheme === scheme)
    if (runs.length === 0) return []
    const title = scheme === 'http' ? 'A site without TLS (http)' : 'A site with TLS (https)'
    return [
      `<h3>${title}</h3>`,
      ...SHOWN.map(({ observer, title: caption }) => observerTable(runs, observer, caption)),
    ]
  })
  const legend = LEGEND.map(
    ([value, meaning]) => `<tr><td class="${value}">${WORDS[value]}</td><td>${meaning}</td></tr>`,
  )
  return `${verdict(result)}<table>${legend.join('')}</table>${tables.join('')}<p><a href="/matrix.json">Every cell with its evidence, as JSON</a></p>`
}

function verdict({ runs, seed, agreesWithTruthTable }: LabResult): string {
  if (agreesWithTruthTable)
    return `<p>Every cell agrees with the truth table, and the controls passed (seed ${escape(seed)}).</p>`
  const findings = runs.flatMap((run) =>
    run.findings.map((finding) => `<li>${escape(`${runName(run)}: ${finding}`)}</li>`),
  )
  return `<div class="red"><p><strong>The measurement disagrees with the truth table</strong> (seed ${escape(seed)}):</p><ul>${findings.join('')}</ul></div>`
}

function observerTable(runs: readonly LabRun[], observer: Observer, caption: string): string {
  const heads = runs.map((run) => `<th scope="col">${escape(run.variant ?? run.mode)}</th>`).join('')
  const rows = INFORMATION.map((information) => {
    const cells = runs.map((run) => {
      const value =
        run.cells.find((cell) => cell.observer === observer && cell.information === information)?.value ??
        'not-measured'
      return `<td class="${value}">${WORDS[value]}</td>`
    })
    return `<tr><th scope="row">${information}</th>${cells.join('')}</tr>`
  })
  return `<h4>${escape(caption)}</h4><table class="matrix"><tr><td></td>${heads}</tr>${rows.join('')}</table>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
