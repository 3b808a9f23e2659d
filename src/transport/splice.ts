// Joins two byte streams of one process, both ways. Rules: back-pressure and half-close are kept, and a side that
// breaks off breaks off the other.
import type { Duplex } from 'node:stream'
import { abort } from './abort.ts'

export function splice(left: Duplex, right: Duplex): void {
  pass(left, right)
  pass(right, left)
}

function pass(from: Duplex, to: Duplex): void {
  from.on('error', () => abort(to))
  from.on('close', () => {
    if (!from.readableEnded) abort(to)
  })
  from.pipe(to)
}
