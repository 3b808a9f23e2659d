// Bytes as text or as hex. Rule: what is encrypted is drawn as a hatched block with its size, never as characters.
import { Fragment, type JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import type { Pane, Piece } from '../wire.ts'
import { useTexts } from './context.ts'
import { coarse, isText, openBytes, segmentsOf, stringsOf, textOf, type Segment } from './segments.ts'
import type { Catalogue } from './texts/catalogue.ts'

export type Show = 'text' | 'hex'
const SHOWS: readonly Show[] = ['text', 'hex']
const FIRST_BYTES = 512
const HEX_COLUMNS = 16

interface BytesProps {
  readonly pieces: readonly Piece[]
  readonly show: Show
  readonly setShow: (show: Show) => void
  readonly pane: Pane
  /** Whose bytes, for those who hear the page. */
  readonly whose: string
}

export function Bytes({ pieces, show, setShow, pane, whose }: BytesProps): JSX.Element {
  const texts = useTexts()
  const ordered = [0, 1, 2].flatMap((rank) => pieces.filter((piece) => rankOf(piece) === rank))
  return (
    <section class="bytes" aria-label={`${texts.bytes.heading}: ${whose}`}>
      <div class="bytes-head">
        <h3>{texts.bytes.heading}</h3>
        <fieldset class="toggle small">
          <legend class="unseen">{texts.bytes.show}</legend>
          <div>
            {SHOWS.map((name) => (
              <label key={name}>
                <input
                  type="radio"
                  name={`show-${pane}`}
                  checked={show === name}
                  onChange={() => setShow(name)}
                />
                <span>{texts.bytes[name]}</span>
              </label>
            ))}
          </div>
        </fieldset>
      </div>
      {ordered.length === 0 ? (
        <p class="none">{texts.bytes.none}</p>
      ) : (
        <ol class="pieces" tabIndex={0} aria-label={`${texts.bytes.heading}: ${whose}`}>
          {ordered.map((piece) => (
            <PieceView key={piece.id} piece={piece} show={show} />
          ))}
        </ol>
      )}
    </section>
  )
}

/** What an observer could open comes first: it is what it reads. Certificates come last of that. */
function rankOf({ layer }: Piece): number {
  if (layer === 'tcp') return 2
  return layer.endsWith('handshake') ? 1 : 0
}

function PieceView({ piece, show }: { readonly piece: Piece; readonly show: Show }): JSX.Element {
  const texts = useTexts()
  const [all, setAll] = useState(false)
  const segments = useMemo(() => segmentsOf(piece), [piece])
  const whole = segments.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const text = useMemo(() => isText(openBytes(segments)), [segments])
  const drawn = useMemo(() => (text ? segments : coarse(segments)), [segments, text])
  const limit = all || whole <= FIRST_BYTES ? whole : FIRST_BYTES
  const opened = piece.layer !== 'tcp'
  return (
    <li class={`piece ${piece.direction} ${opened ? 'opened' : 'passed'}`}>
      <p class="piece-head">
        <span class="way">{texts.bytes[piece.direction]}</span>
        <span>{opened ? texts.bytes.opened : texts.bytes.passed}</span>
        <span>{texts.bytes.size(piece.length)}</span>
        {opened && <bdi class="layer">{piece.layer}</bdi>}
      </p>
      {show === 'text' ? (
        <div class="as-text" dir="ltr">
          {drawn.map((segment) => (
            <TextSegment key={segment.offset} segment={segment} text={text} />
          ))}
        </div>
      ) : (
        <HexView segments={segments} limit={limit} />
      )}
      {show === 'hex' && limit < whole && (
        <button type="button" class="quiet" onClick={() => setAll(true)}>
          {texts.bytes.more}
        </button>
      )}
      {piece.length > whole && <p class="cut">{texts.bytes.cut(piece.length - whole)}</p>}
    </li>
  )
}

function TextSegment({ segment, text }: { readonly segment: Segment; readonly text: boolean }): JSX.Element {
  const texts = useTexts()
  const { kind, name, encoding, bytes } = segment
  if (kind === 'sealed')
    return (
      <span class="seal" dir="auto">
        {texts.bytes.sealed(segment.count)}
      </span>
    )
  if (kind === 'word') {
    return (
      <mark>
        {textOf(bytes)}
        <span class="tag" dir="auto">
          {labelOf(texts, name)}
          {encoding === 'plain' ? '' : ` (${encoding})`}
        </span>
      </mark>
    )
  }
  const runs = text
    ? textOf(bytes)
    : stringsOf(bytes).map((run, index) =>
        run.kind === 'binary' ? (
          <span key={index} class="binary" dir="auto">
            {texts.bytes.binary(run.bytes)}
          </span>
        ) : (
          <Fragment key={index}>{run.text}</Fragment>
        ),
      )
  return kind === 'field' ? (
    <span class="known" title={name}>
      {runs}
    </span>
  ) : (
    <span>{runs}</span>
  )
}

function labelOf(texts: Catalogue, name: string): string {
  return (texts.words as Readonly<Record<string, string>>)[name] ?? name
}

interface HexProps {
  readonly segments: readonly Segment[]
  /** How many bytes from the first; all by default. */
  readonly limit?: number
  /** Instead of a limit: the rows about these bytes alone. */
  readonly around?: { readonly at: number; readonly length: number }
}

/** Offset, hex and characters, as Wireshark lays them out; a span a stretch. */
export function HexView({ segments, limit, around }: HexProps): JSX.Element {
  const texts = useTexts()
  const kinds = segments.flatMap((segment) =>
    Array.from(segment.bytes, (byte, at) => ({ segment, byte, at })),
  )
  const first = around === undefined ? 0 : Math.max(0, Math.floor(around.at / HEX_COLUMNS) - 1) * HEX_COLUMNS
  const last = around === undefined ? (limit ?? kinds.length) : around.at + around.length + HEX_COLUMNS
  const rows: JSX.Element[] = []
  for (let start = first; start < Math.min(last, kinds.length); start += HEX_COLUMNS) {
    const cells = kinds.slice(start, Math.min(start + HEX_COLUMNS, kinds.length))
    const spans = (draw: (byte: number, sealed: boolean) => string): JSX.Element[] =>
      grouped(cells).map((group, index) => (
        <span key={index} class={`x-${group.segment.kind}`} title={titleOf(group.segment, texts)}>
          {group.bytes.map((byte) => draw(byte, group.segment.kind === 'sealed')).join('')}
        </span>
      ))
    rows.push(
      <Fragment key={start}>
        <span class="x-offset">{start.toString(16).padStart(4, '0')} </span>
        {spans((byte) => `${byte.toString(16).padStart(2, '0')} `)}
        {'   '.repeat(HEX_COLUMNS - cells.length)}{' '}
        {spans((byte, sealed) =>
          sealed ? '▒' : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·',
        )}
        {'\n'}
      </Fragment>,
    )
  }
  return (
    <pre class="as-hex" dir="ltr" tabIndex={0}>
      {rows}
    </pre>
  )
}

function titleOf({ kind, name }: Segment, texts: Catalogue): string | undefined {
  if (kind === 'plain') return undefined
  return kind === 'sealed' ? texts.values.sealed : labelOf(texts, name)
}

function grouped(
  cells: ReadonlyArray<{ readonly segment: Segment; readonly byte: number }>,
): Array<{ readonly segment: Segment; readonly bytes: number[] }> {
  const groups: Array<{ segment: Segment; bytes: number[] }> = []
  for (const { segment, byte } of cells) {
    const last = groups.at(-1)
    if (last?.segment === segment) last.bytes.push(byte)
    else groups.push({ segment, bytes: [byte] })
  }
  return groups
}
