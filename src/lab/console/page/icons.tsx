// Small drawings, each beside words that say the same: they are hidden from screen readers.
import type { JSX } from 'preact'
import type { CellValue } from '../../model.ts'
import type { Party } from './texts/catalogue.ts'

const VALUES: Readonly<Record<CellValue, string>> = {
  clear: 'M1.5 8c3-5 10-5 13 0-3 5-10 5-13 0zM8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4z',
  sealed: 'M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  inferable: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3L14 14',
  absent: 'M4 8h8',
  'not-measured': 'M8 8h.01',
}

const PARTIES: Readonly<Record<Party, string>> = {
  client: 'M4 6h16v10H4zM2 19h20',
  'access-network':
    'M12 19h.01M8.5 15.5a5 5 0 0 1 7 0M5.5 12.5a9.2 9.2 0 0 1 13 0M2.5 9.5a13.5 13.5 0 0 1 19 0',
  'gateway-operator': 'M4 4h16v6H4zM4 14h16v6H4zM7.5 7h.01M7.5 17h.01',
  resolver: 'M5 4h11l3 3v13H5zM8.5 9h7M8.5 12.5h7M8.5 16h4',
  'exit-network': 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18',
  destination: 'M4 20V9l8-5 8 5v11zM9 20v-6h6v6',
}

function Drawing({ path, size }: { readonly path: string; readonly size: 16 | 24 }): JSX.Element {
  return (
    <svg class={`icon icon-${size}`} viewBox={`0 0 ${size} ${size}`} aria-hidden="true" focusable="false">
      <path d={path} />
    </svg>
  )
}

export const ValueIcon = ({ value }: { readonly value: CellValue }): JSX.Element => (
  <Drawing path={VALUES[value]} size={16} />
)
export const PartyIcon = ({ party }: { readonly party: Party }): JSX.Element => (
  <Drawing path={PARTIES[party]} size={24} />
)
