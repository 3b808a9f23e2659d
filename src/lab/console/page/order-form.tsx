// What is sent, and through which two modes. The words are a person's own; the samples are there to be written over.
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Scheme } from '../../model.ts'
import type { Choice, Order, OrderField, Pane } from '../wire.ts'
import { useTexts } from './context.ts'
import { askReplay, type Asked } from './server.ts'
import type { State } from './state.ts'

const PAGES: Readonly<Record<string, string>> = {
  'city-clinic': 'bookings',
  'workers-union': 'join-today',
  'evening-news': 'front-page',
  'night-school': 'timetable',
}
const DOMAIN = '.sightline.test'
const LEFT: Choice = { mode: 'http-proxy', variant: null }
const RIGHT: Choice = { mode: 'tunnel', variant: null }

const sameChoice = (a: Choice, b: Choice): boolean => a.mode === b.mode && a.variant === b.variant

/** What will be sent, kept while the parts of the page change. */
export interface Ordering {
  readonly order: Order
  readonly change: (changed: Partial<Order>) => void
  readonly send: () => Promise<void>
  readonly asked: Asked
  readonly running: boolean
  readonly repeats: boolean
  readonly setRepeats: (repeats: boolean) => void
}

export function useOrdering(state: State): Ordering {
  const texts = useTexts()
  const [order, setOrder] = useState<Order>(() => ({
    left: LEFT,
    right: RIGHT,
    scheme: 'http',
    host: 'city-clinic',
    path: PAGES['city-clinic'] ?? '',
    ...texts.sample,
  }))
  const [asked, setAsked] = useState<Asked>(undefined)
  const [repeats, setRepeats] = useState(false)
  const running = state.replay?.status === 'running'
  const change = (changed: Partial<Order>): void => {
    setOrder({ ...order, ...changed })
    setAsked(undefined)
  }
  const send = async (): Promise<void> => setAsked(await askReplay(order))
  useRepeats(repeats && asked === undefined, running, send)
  return { order, change, send, asked, running, repeats, setRepeats }
}

interface FormProps {
  readonly state: State
  readonly ordering: Ordering
  /** With the words that are sent, or the ways alone. */
  readonly words: boolean
}

export function OrderForm({ state, ordering, words }: FormProps): JSX.Element {
  const texts = useTexts()
  const { order, change, send, asked, running, repeats, setRepeats } = ordering
  const choices = state.welcome?.choices ?? [LEFT, RIGHT]
  const problemOf = (field: OrderField): string | undefined =>
    asked !== undefined && 'field' in asked && asked.field === field
      ? texts.problems[asked.problem]
      : undefined
  const general =
    asked !== undefined && !('field' in asked) ? texts.problems[asked.problem] : problemOf('modes')
  return (
    <form
      class="order"
      aria-label={texts.form.heading}
      onSubmit={(event) => {
        event.preventDefault()
        void send()
      }}
    >
      <div class="order-ways">
        {(['left', 'right'] as const).map((pane) => (
          <ChoiceField
            key={pane}
            pane={pane}
            choice={order[pane]}
            choices={choices}
            choose={(choice) => change({ [pane]: choice })}
          />
        ))}
        <SchemeField scheme={order.scheme} choose={(scheme) => change({ scheme })} />
        <div class="order-send">
          <button type="submit" class="send" aria-disabled={running}>
            {running ? texts.form.sending : texts.form.send}
          </button>
          <button type="button" class="quiet" aria-pressed={repeats} onClick={() => setRepeats(!repeats)}>
            {repeats ? texts.form.stop : texts.form.again}
          </button>
        </div>
      </div>
      {words && (
        <div class="order-words">
          <Field label={texts.form.address} problem={problemOf('host') ?? problemOf('path')} name="address">
            {(attributes) => (
              <input
                {...attributes}
                dir="ltr"
                list="pages"
                value={`${order.host}${DOMAIN}/${order.path}`}
                onInput={({ currentTarget }) => change(splitAddress(currentTarget.value))}
              />
            )}
          </Field>
          <datalist id="pages">
            {Object.entries(PAGES).map(([host, path]) => (
              <option key={host} value={`${host}${DOMAIN}/${path}`}>
                {texts.pages[host]}
              </option>
            ))}
          </datalist>
          {(['message', 'cookie', 'password'] as const).map((field) => (
            <Field key={field} label={texts.form[field]} problem={problemOf(field)} name={field}>
              {(attributes) => (
                <input
                  {...attributes}
                  dir={field === 'message' ? 'auto' : 'ltr'}
                  value={order[field]}
                  onInput={({ currentTarget }) => change({ [field]: currentTarget.value })}
                />
              )}
            </Field>
          ))}
        </div>
      )}
      <p class="problem" role="alert">
        {general ?? (state.replay?.status === 'failed' ? state.replay.detail : '')}
      </p>
    </form>
  )
}

/** Sends anew, a moment after each end, for as long as `on`. */
function useRepeats(on: boolean, running: boolean, send: () => Promise<void>): void {
  const latest = useRef(send)
  latest.current = send
  useEffect(() => {
    if (!on || running) return undefined
    const timer = setTimeout(() => void latest.current(), 600)
    return () => clearTimeout(timer)
  }, [on, running])
}

/** `http://host.sightline.test/path` in its parts, as far as it can be read. */
function splitAddress(typed: string): Partial<Order> {
  const [, scheme, name = '', path = ''] = /^\s*(?:(https?):\/\/)?([^/]*)\/?(.*?)\s*$/.exec(typed) ?? []
  const host = name.endsWith(DOMAIN) ? name.slice(0, -DOMAIN.length) : name
  return { host: host.toLowerCase(), path, ...(scheme !== undefined && { scheme: scheme as Scheme }) }
}

interface FieldProps {
  readonly label: string
  readonly name: string
  readonly problem: string | undefined
  readonly children: (attributes: {
    id: string
    name: string
    autocomplete: 'off'
    spellcheck: false
    'aria-invalid': boolean
    'aria-describedby': string
  }) => JSX.Element
}

function Field({ label, name, problem, children }: FieldProps): JSX.Element {
  const id = `order-${name}`
  return (
    <div class={`field field-${name}`}>
      <label for={id}>{label}</label>
      {children({
        id,
        name,
        autocomplete: 'off',
        spellcheck: false,
        'aria-invalid': problem !== undefined,
        'aria-describedby': `${id}-problem`,
      })}
      <p id={`${id}-problem`} class="problem" role="alert">
        {problem}
      </p>
    </div>
  )
}

interface ChoiceProps {
  readonly pane: Pane
  readonly choice: Choice
  readonly choices: readonly Choice[]
  readonly choose: (choice: Choice) => void
}

/** A mode, and where it has variants, which. */
function ChoiceField({ pane, choice, choices, choose }: ChoiceProps): JSX.Element {
  const texts = useTexts()
  const id = `order-${pane}`
  const modes = [...new Set(choices.map(({ mode }) => mode))]
  const variants = choices.filter(({ mode, variant }) => mode === choice.mode && variant !== null)
  return (
    <div class="field">
      <label for={id}>{texts.form[pane]}</label>
      <select
        id={id}
        value={choice.mode}
        onChange={({ currentTarget }) => {
          const wanted = choices.findLast(({ mode }) => mode === currentTarget.value)
          if (wanted !== undefined) choose(wanted)
        }}
      >
        {modes.map((mode) => (
          <option key={mode} value={mode}>
            {texts.modes[mode]}
          </option>
        ))}
      </select>
      {variants.length > 0 && (
        <select
          aria-label={texts.form.variant}
          value={choice.variant ?? ''}
          onChange={({ currentTarget }) => {
            const wanted = variants.find(({ variant }) => variant === currentTarget.value)
            if (wanted !== undefined) choose(wanted)
          }}
        >
          {variants.map((known) => (
            <option key={known.variant} value={known.variant ?? ''} selected={sameChoice(known, choice)}>
              {known.variant === 'socks5' || known.variant === 'socks5h'
                ? texts.form.variants[known.variant]
                : ''}
            </option>
          ))}
        </select>
      )}
    </div>
  )
}

function SchemeField(props: {
  readonly scheme: Scheme
  readonly choose: (scheme: Scheme) => void
}): JSX.Element {
  const texts = useTexts()
  return (
    <fieldset class="field toggle">
      <legend>{texts.form.scheme}</legend>
      <div>
        {(['http', 'https'] as const).map((scheme) => (
          <label key={scheme}>
            <input
              type="radio"
              name="scheme"
              value={scheme}
              checked={props.scheme === scheme}
              onChange={() => props.choose(scheme)}
            />
            <span>{texts.form.schemes[scheme]}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
