// How the report looks: light and dark, wide and narrow, on a screen and on paper. Rules: nothing is loaded, colour is
// never all that tells two values apart, a narrow screen shows each row's cells under its name, and paper holds what a class
// needs, with the evidence that is open, not that of every cell, which takes hundreds of pages.

export const STYLE = `
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --panel: #f6f8fa;
  --clear: #a40e26; --clear-back: #ffebe9; --sealed: #0b5a2b; --sealed-back: #dcf5e3; --inferable: #7a3e00; --inferable-back: #fff3d6;
  --mark: #ffd33d; --mark-text: #1b1f24; }
@media (prefers-color-scheme: dark) { :root { --back: #0f1318; --text: #e6edf3; --soft: #9aa5b1; --line: #343d47; --panel: #181e25;
  --clear: #ffb3ab; --clear-back: #4a1a1c; --sealed: #8ee6ae; --sealed-back: #123a24; --inferable: #ffd58a; --inferable-back: #43310d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 1.75rem 0 .35rem; } h4 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { max-width: 48rem; margin: .4rem 0; } a { color: inherit; }
ul, ol { padding-left: 1.3rem; margin: .4rem 0; } li { margin: .2rem 0; overflow-wrap: anywhere; }
code, pre { font: .86rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
code { overflow-wrap: anywhere; }
.soft { color: var(--soft); } .bad { border-left: 4px solid var(--clear); padding-left: 1rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
table { border-collapse: collapse; width: 100%; margin: .25rem 0 1rem; }
caption { text-align: left; font-weight: 600; padding: .75rem 0 .25rem; } caption span { font-weight: 400; color: var(--soft); }
th, td { text-align: left; vertical-align: top; padding: .2rem .5rem .2rem 0; border-bottom: 1px solid var(--line); font-size: .92rem; }
thead th { color: var(--soft); font-weight: 600; } tbody th { font-weight: 400; width: 12rem; }
.matrix { table-layout: fixed; }
.cell { font: inherit; font-size: .88rem; display: block; width: 100%; text-align: left; padding: .12rem .5rem; border-radius: 4px;
  border: 1px solid transparent; background: none; color: inherit; cursor: pointer; }
.cell:hover { border-color: var(--soft); } .cell:focus-visible, .ref:focus-visible, summary:focus-visible { outline: 2px solid var(--text); outline-offset: 1px; }
.clear { color: var(--clear); background: var(--clear-back); font-weight: 600; }
.sealed { color: var(--sealed); background: var(--sealed-back); } .inferable { color: var(--inferable); background: var(--inferable-back); }
.absent, .not-measured { color: var(--soft); }
.value { padding: .1rem .45rem; border-radius: 4px; white-space: nowrap; }
.legend { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: .5rem 0; max-width: 48rem; } .legend dd { margin: 0; }
.ref { font: inherit; color: inherit; background: none; border: 0; padding: 0; text-align: left; vertical-align: top; text-decoration: underline dotted; cursor: pointer; overflow-wrap: anywhere; }
.fact { margin: .9rem 0; max-width: 60rem; } .fact > p { margin: 0; }
.verdict { font-weight: 600; } .verdict.shown { color: var(--sealed); } .verdict.contradicted { color: var(--clear); } .verdict.not-shown { color: var(--soft); }
details { margin: .3rem 0; } summary { cursor: pointer; }
[popover] { width: min(48rem, calc(100vw - 1.5rem)); max-height: 88vh; overflow: auto; border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem; background: var(--back); color: var(--text); }
[popover]::backdrop { background: #0007; }
[popover] h3 { margin: 0 3.5rem .5rem 0; } [popover] h3:focus { outline: none; }
.close { position: absolute; top: .8rem; right: .9rem; font: inherit; font-size: .9rem; padding: .1rem .6rem; color: inherit; background: var(--panel); border: 1px solid var(--line); border-radius: 4px; cursor: pointer; }
.piece { border-top: 1px solid var(--line); margin-top: .8rem; padding-top: .6rem; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 0 .9rem; margin: .3rem 0; font-size: .92rem; } .facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
pre.hex { overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .7rem; margin: .4rem 0; }
pre.text { white-space: pre-wrap; overflow-wrap: anywhere; }
mark { background: var(--mark); color: var(--mark-text); } .place { color: var(--soft); }
@media (max-width: 44rem) {
  main { padding: 1rem .9rem; } h1 { font-size: 1.4rem; }
  .matrix, .matrix caption, .matrix tbody, .matrix tr, .matrix th, .matrix td { display: block; width: auto; }
  .matrix thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .matrix tbody tr { display: grid; grid-template-columns: repeat(3, 1fr); gap: .3rem; border-bottom: 1px solid var(--line); padding: .4rem 0; }
  .matrix tbody th { grid-column: 1 / -1; font-weight: 600; padding: 0; border: 0; } .matrix td { display: flex; flex-direction: column; justify-content: flex-end; border: 0; padding: 0; }
  .matrix.joined tbody tr { grid-template-columns: 1fr; } .matrix.covered tbody tr, .matrix.written tbody tr { grid-template-columns: 1fr 1fr; }
  .matrix td::before { content: attr(data-mode); display: block; font-size: .72rem; line-height: 1.3; color: var(--soft); }
  .cell { padding: .1rem .3rem; font-size: .85rem; } tbody th { width: 9rem; }
  [popover] { padding: .8rem .9rem; } code, pre { font-size: .76rem; } pre.hex { font-size: .68rem; padding: .4rem; }
}
@media print {
  :root { color-scheme: light; } main { max-width: none; padding: 0; } nav, .close { display: none; }
  .cell, .clear, .sealed, .inferable, mark { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  table, .piece, pre { break-inside: avoid; } details > * { display: block; } h2, h3, caption { break-after: avoid; }
  details::details-content { content-visibility: visible; display: block; }
  [popover]:not(:popover-open) { display: none; }
  [popover]:popover-open { position: static; width: auto; max-height: none; overflow: visible; border: 0; padding: 0; break-before: page; }
  [popover]::backdrop { display: none; }
}
`
