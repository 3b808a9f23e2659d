// What every dissector returns: named fields, each with the place where its bytes stand. Rule: an offset
// always counts in the stream that the dissector was given, even where the field was put together from
// pieces.

/**
 * One piece of information that a dissector read. Names follow Zeek's logs (`http.uri`, `ssl.server_name`).
 */
export interface Field {
  readonly name: string
  /** As text: numbers in decimal, lists with commas, bytes without a text form in hex. */
  readonly value: string
  /** First byte in the stream given. */
  readonly offset: number
  /** Bytes from the first to the last of the field, with whatever framing stands between them. */
  readonly length: number
}

/**
 * `length` bytes at `at` in bytes that were put together are those at `offset` in the stream, one for one.
 */
export interface Span {
  readonly at: number
  readonly offset: number
  readonly length: number
}

/**
 * Where bytes `at` to `at + length` of a joined message stand in the stream. `spans` are in rising order of
 * `at` without gaps. Undefined where the spans do not reach that far.
 */
export function locate(
  spans: readonly Span[],
  at: number,
  length: number,
): { offset: number; length: number } | undefined {
  const first = spanAt(spans, at)
  // An empty field after the last byte still has a place: the end.
  const last = length === 0 ? first : spanAt(spans, at + length - 1)
  if (first === undefined || last === undefined) {
    const final = spans.at(-1)
    if (length > 0 || final === undefined || at !== final.at + final.length) return undefined
    return { offset: final.offset + final.length, length: 0 }
  }
  const offset = first.offset + (at - first.at)
  if (length === 0) return { offset, length: 0 }
  return { offset, length: last.offset + (at + length - last.at) - offset }
}

function spanAt(spans: readonly Span[], at: number): Span | undefined {
  let low = 0
  let high = spans.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const span = spans[middle]
    if (span === undefined) return undefined
    if (at < span.at) high = middle
    else if (at >= span.at + span.length) low = middle + 1
    else return span
  }
  return undefined
}
