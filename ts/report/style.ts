/** The reports' one style sheet: no font but the reader's own, light or dark as the reader has it. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fcfbf8; --card: #ffffff; --ink: #22211f; --quiet: #6d6a64; --rule: #e2dfd8; --accent: #0b6e6e;
  --s0: #0b6e6e; --s1: #c2571a; --s2: #5a55b5; --s3: #9a7400; --s4: #b03a6a; --s5: #3b7d33; --s6: #2b75c0; --s7: #77716a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #17181a; --card: #1e2022; --ink: #e6e3dd; --quiet: #9c988f; --rule: #33353a; --accent: #5cc4c0;
    --s0: #5cc4c0; --s1: #f0945a; --s2: #a8a4f0; --s3: #d8b34a; --s4: #e78bb0; --s5: #8fce84; --s6: #7ab8f5; --s7: #b5afa6;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 62rem; padding: 3.5rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 1.02rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
.wide { max-width: 84rem; } .wide th, .wide td { padding: .42rem .55rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; font-weight: 650; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 3rem 0 .8rem; font-weight: 650; }
p { margin: .5rem 0; max-width: 44rem; }
.lead { color: var(--quiet); margin-bottom: 1.6rem; }
.quiet, figcaption, .foot { color: var(--quiet); font-size: .86rem; }
code, .command { font: .88em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.command { display: block; overflow-x: auto; padding: .7rem .9rem; border: 1px solid var(--rule); border-radius: 6px; background: var(--card); white-space: pre; }
figure { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { padding: .42rem .8rem; text-align: left; border-bottom: 1px solid var(--rule); white-space: nowrap; font-weight: 400; }
thead th { color: var(--quiet); font-size: .84rem; border-bottom-color: var(--quiet); vertical-align: bottom; }
th[title] { text-decoration: underline dotted; text-underline-offset: 3px; cursor: help; }
.number { text-align: right; }
.prose { white-space: normal; min-width: 14rem; color: var(--quiet); }
.strong th, .strong td { font-weight: 650; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.4rem; font-size: .9rem; margin: 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.glossary { margin-top: 1rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1.6rem 2rem; }
.chart svg { display: block; width: 100%; height: auto; }
.chart figcaption { color: var(--ink); font-size: .95rem; font-weight: 600; margin-bottom: .3rem; }
svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.tick { fill: var(--quiet); } .grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.name { font-weight: 600; }
${Array.from(
  { length: 8 },
  (_, i) => `.line.s${i} { stroke: var(--s${i}); } .dot.s${i}, .name.s${i} { fill: var(--s${i}); }`,
).join("\n")}
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17.5rem), 1fr)); gap: 1.5rem 1.4rem; }
.pair div { display: grid; grid-template-columns: 1fr 1fr; gap: 3px; }
.pair img, .rows img { display: block; width: 100%; height: auto; }
.pair figcaption { margin-top: .4rem; line-height: 1.35; }
.heads { display: grid; grid-template-columns: 1fr 1fr; color: var(--quiet); font-size: .8rem; }
.rows { display: grid; gap: 4px; font-size: .9rem; align-items: center; min-width: 40rem; }
.rows .caption { color: var(--quiet); font-size: .72rem; line-height: 1.3; align-self: start; }
.sheet img { display: block; max-width: 100%; height: auto; }
.samples { display: flex; flex-wrap: wrap; gap: 1.4rem; margin-top: .8rem; }
details { margin-top: .8rem; } summary { cursor: pointer; color: var(--quiet); }
details pre { overflow-x: auto; font-size: .82rem; padding: .8rem; border: 1px solid var(--rule); border-radius: 6px; background: var(--card); }
.foot { margin-top: 3.5rem; border-top: 1px solid var(--rule); padding-top: 1rem; }
@media print { body { padding: 0; } .pair, .chart { break-inside: avoid; } }
`;
