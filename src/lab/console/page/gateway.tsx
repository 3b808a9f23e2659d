// The gateway's own page, live from its metrics: numbers under closed labels, and nothing about who or where.
import type { JSX } from 'preact'
import type { GatewayFacts, Sample } from '../wire.ts'
import { useTexts } from './context.ts'
import type { State } from './state.ts'
import type { Catalogue } from './texts/catalogue.ts'

const SOON_DAYS = 30

export function GatewayPart({ state }: { readonly state: State }): JSX.Element {
  const texts = useTexts()
  const { welcome, gateway } = state
  return (
    <section class="gateway" aria-labelledby="gateway">
      <h2 id="gateway">{texts.gateway.heading}</h2>
      {welcome?.gateway === false ? (
        <p>{texts.gateway.none}</p>
      ) : (
        <>
          <p>{texts.gateway.says}</p>
          {gateway !== undefined && <Tiles gateway={gateway} />}
        </>
      )}
      {welcome !== undefined && (
        <div class="cards dense">
          {gateway !== undefined && <Figures gateway={gateway} />}
          <section class="card" aria-labelledby="addresses">
            <h3 id="addresses">{texts.gateway.addresses}</h3>
            <table class="plain-table">
              <tbody>
                {welcome.addresses.map(({ name, address }) => (
                  <tr key={name}>
                    <th scope="row">
                      <bdi>{name}</bdi>
                    </th>
                    <td>
                      <bdi>{address}</bdi>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            {welcome.settings !== '' && (
              <p>
                <a href={welcome.settings} target="_blank" rel="noreferrer">
                  {texts.gateway.settings}
                </a>
              </p>
            )}
          </section>
          {welcome.tries.length > 0 && (
            <section class="card whole" aria-labelledby="tries">
              <h3 id="tries">{texts.gateway.tries}</h3>
              {welcome.tries.map(({ command }) => (
                <pre key={command} class="command" dir="ltr" tabIndex={0}>
                  {command}
                </pre>
              ))}
            </section>
          )}
        </div>
      )}
    </section>
  )
}

function Tiles({ gateway }: { readonly gateway: GatewayFacts }): JSX.Element {
  const { gateway: words } = useTexts()
  const tiles: ReadonlyArray<readonly [string, string]> = [
    [words.health, gateway.ready ? words.ready : words.notReady],
    [words.uptime, words.seconds(gateway.uptimeSeconds)],
    [words.connections, words.number(sum(gateway.connections))],
    [words.streams, words.number(sum(gateway.streams))],
    [words.sessions, words.number(gateway.sessions)],
    [words.tunnel, gateway.tunnelUp ? words.up : words.down],
    [words.bytes, words.size(sum(gateway.bytes))],
    [words.memory, words.size(gateway.memoryBytes)],
  ]
  return (
    <dl class="tiles">
      {tiles.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <bdi>{value}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  )
}

function Figures({ gateway }: { readonly gateway: GatewayFacts }): JSX.Element {
  const { gateway: words } = useTexts()
  return (
    <>
      <Readable bytes={gateway.bytes} />
      <Errors gateway={gateway} />
      <section class="card" aria-labelledby="certificates">
        <h3 id="certificates">{words.certificates}</h3>
        <table class="plain-table">
          <tbody>
            {gateway.certificates.map(({ role, daysLeft }) => (
              <tr key={role}>
                <th scope="row">{words.roles[role] ?? role}</th>
                <td class={daysLeft === null || daysLeft < SOON_DAYS ? 'clear' : undefined}>
                  {daysLeft === null ? words.unreadable : words.days(daysLeft)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <Exposed exposed={gateway.exposed} />
    </>
  )
}

/** Bytes relayed, by whether the operator of this gateway could read them. */
function Readable({ bytes }: { readonly bytes: readonly Sample[] }): JSX.Element {
  const { gateway: words } = useTexts()
  const by = (readable: string): number => sum(bytes.filter(({ labels }) => labels['readable'] === readable))
  return (
    <section class="card" aria-labelledby="readable">
      <h3 id="readable">{words.readable}</h3>
      <table class="plain-table">
        <tbody>
          {(['yes', 'no', 'unknown'] as const).map((readable) => (
            <tr key={readable}>
              <th scope="row">{words.readableBy[readable]}</th>
              <td>
                <bdi>{words.size(by(readable))}</bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Streams in which an observer could read something, summed over modes: the lab's cells, counted on real traffic. */
function Exposed({ exposed }: { readonly exposed: readonly Sample[] }): JSX.Element {
  const texts = useTexts()
  const { gateway: words } = texts
  const observers = ['access-network', 'gateway-operator', 'exit-network', 'destination'] as const
  const information = Object.keys(texts.information) as Array<keyof Catalogue['information']>
  return (
    <section class="card wide" aria-labelledby="exposed">
      <h3 id="exposed">{words.exposed}</h3>
      {exposed.length === 0 ? (
        <p>{words.nothing}</p>
      ) : (
        <div class="matrix-frame" tabIndex={0} role="region" aria-labelledby="exposed">
          <table class="plain-table">
            <thead>
              <tr>
                <th scope="col">{texts.matrix.information}</th>
                {observers.map((observer) => (
                  <th key={observer} scope="col">
                    {texts.parties[observer]}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {information.map((name) => (
                <tr key={name}>
                  <th scope="row">{texts.information[name]}</th>
                  {observers.map((observer) => (
                    <td key={observer}>
                      {words.number(
                        sum(
                          exposed.filter(
                            ({ labels }) => labels['observer'] === observer && labels['information'] === name,
                          ),
                        ),
                      )}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

/** Refusals, and streams that did not end in order, by their codes. */
function Errors({ gateway }: { readonly gateway: GatewayFacts }): JSX.Element {
  const { gateway: words } = useTexts()
  const counts = new Map<string, number>()
  for (const { labels, value } of [...gateway.refusals, ...gateway.streamsEnded]) {
    const code = labels['code'] ?? labels['outcome'] ?? ''
    if (code !== 'ok' && value > 0) counts.set(code, (counts.get(code) ?? 0) + value)
  }
  return (
    <section class="card" aria-labelledby="errors">
      <h3 id="errors">{words.errors}</h3>
      {counts.size === 0 ? (
        <p>{words.nothing}</p>
      ) : (
        <table class="plain-table">
          <tbody>
            {[...counts].map(([code, count]) => (
              <tr key={code}>
                <th scope="row">
                  <bdi>{code}</bdi>
                </th>
                <td>{words.number(count)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function sum(samples: readonly Sample[]): number {
  return samples.reduce((total, { value }) => total + value, 0)
}
