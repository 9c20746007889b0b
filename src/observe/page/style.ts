// The page's style sheet. Colours are named by what they mean and given once per scheme; text keeps a contrast of at
// least 4.5 to 1 on its ground in both (test/observe/page checks the pairs).

export const lightColours = {
  ground: '#f5f6f8',
  card: '#ffffff',
  line: '#dfe3e9',
  track: '#e8ebf0',
  text: '#1b2430',
  quiet: '#566274',
  link: '#1d5fb8',
  good: '#17693f',
  goodGround: '#e6f4ec',
  wait: '#7a5200',
  waitGround: '#fdf3dc',
  bad: '#a8231c',
  badGround: '#fcebe9',
  acked: '#2f9e6e',
  flight: '#3b82d6',
  skipped: '#8591a3',
  dropped: '#c47d12',
  dead: '#8b5fc7',
  lost: '#d23f36',
}

export const darkColours: typeof lightColours = {
  ground: '#12161c',
  card: '#1a2028',
  line: '#2c3541',
  track: '#28303b',
  text: '#e4e9f0',
  quiet: '#9aa7b8',
  link: '#7fb4f5',
  good: '#6fd6a3',
  goodGround: '#16291f',
  wait: '#efc25f',
  waitGround: '#2d2512',
  bad: '#ff9089',
  badGround: '#351b1a',
  acked: '#3fae7d',
  flight: '#4f94e3',
  skipped: '#707d8f',
  dropped: '#dd9a35',
  dead: '#a27cda',
  lost: '#ea5a50',
}

const variables = (colours: typeof lightColours) =>
  Object.entries(colours)
    .map(([name, value]) => `--${name}: ${value};`)
    .join(' ')

export const style = `
:root { color-scheme: light dark; ${variables(lightColours)} }
@media (prefers-color-scheme: dark) { :root { ${variables(darkColours)} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); line-height: 1.45;
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main { max-width: 1240px; margin: 0 auto; padding: 0 20px; }
header { display: flex; flex-wrap: wrap; gap: 2px 18px; align-items: baseline; padding-top: 16px; color: var(--quiet); }
header strong { color: var(--text); font-size: 16px; letter-spacing: .01em; }
header #when { margin-left: auto; }
main { padding-bottom: 48px; }
h1, h2, h3, p, ul, dl, dd { margin: 0; padding: 0; }
h2 { font-size: 15px; font-weight: 650; margin: 28px 0 10px; }
h3 { font-size: 15px; font-weight: 650; }
[hidden] { display: none !important; }
.number, td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.quiet { color: var(--quiet); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; }

#state { margin-top: 14px; border-radius: 10px; padding: 16px 20px; display: flex; gap: 16px; align-items: flex-start;
  background: var(--waitGround); color: var(--wait); }
#state::before { content: ""; flex: none; width: 14px; height: 14px; border-radius: 50%; margin-top: 10px;
  background: currentColor; }
#state[data-tone=good] { background: var(--goodGround); color: var(--good); }
#state[data-tone=bad] { background: var(--badGround); color: var(--bad); }
h1 { font-size: 25px; line-height: 34px; font-weight: 650; letter-spacing: -.01em; }
#reasons { list-style: none; color: var(--text); overflow-wrap: anywhere; }
#reasons li { margin-top: 3px; }
.stale #tiles, .stale #sinks, .stale #lineages { opacity: .5; }

#tiles { display: grid; grid-template-columns: 1fr 1fr 1.1fr 1.2fr 1.4fr; gap: 12px; margin-top: 12px; }
#tiles > div { padding: 12px 16px; min-width: 0; }
dt { color: var(--quiet); font-size: 13px; }
dd { font-variant-numeric: tabular-nums; }
#tiles dd:nth-of-type(1) { font-size: 20px; font-weight: 600; line-height: 30px; letter-spacing: -.01em; }
#tiles dd:nth-of-type(2) { color: var(--quiet); font-size: 13px; overflow-wrap: anywhere; }
.alarm, #tiles dd.alarm { color: var(--bad); }
.meter { height: 4px; border-radius: 2px; background: var(--track); margin: 3px 0 5px; overflow: hidden; }
.meter > div { height: 100%; background: var(--flight); }

#sinks { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 12px; }
.sink { min-width: 0; }
.sink .title { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: center; }
.pill { border-radius: 99px; padding: 1px 10px; font-size: 13px; font-weight: 600; background: var(--goodGround);
  color: var(--good); }
.pill[data-state=retrying] { background: var(--waitGround); color: var(--wait); }
.pill[data-state=halted] { background: var(--badGround); color: var(--bad); }
.spark { margin-left: auto; width: 132px; height: 28px; }
.spark polyline { fill: none; stroke: var(--flight); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.spark polygon { fill: var(--flight); opacity: .14; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px 14px; margin: 14px 0; }
.figures dd { font-size: 17px; font-weight: 600; white-space: nowrap; }
.error { border-radius: 7px; padding: 8px 12px; margin-bottom: 14px; background: var(--waitGround); overflow-wrap: anywhere;
  max-height: 9em; overflow-y: auto; }
.sink[data-state=halted] .error { background: var(--badGround); }
.bar { display: flex; gap: 2px; height: 10px; border-radius: 5px; overflow: hidden; background: var(--track); }
.bar > div { min-width: 4px; }
[data-kind=acked] { --kind: var(--acked); } [data-kind=flight] { --kind: var(--flight); }
[data-kind=skipped] { --kind: var(--skipped); } [data-kind=dropped] { --kind: var(--dropped); }
[data-kind=dead] { --kind: var(--dead); } [data-kind=lost] { --kind: var(--lost); }
.bar > div { background: var(--kind); }
.account { width: 100%; border-collapse: collapse; margin-top: 8px; }
.account caption { text-align: left; color: var(--quiet); padding: 0 0 4px; }
.account th { text-align: left; font-weight: 400; padding: 2px 0; }
.account td, .account th { vertical-align: top; }
.account td, .account th.number { padding: 2px 0 2px 16px; text-align: right; width: 1%; min-width: 92px; }
.account thead th { color: var(--quiet); font-size: 13px; }
.account tbody th { padding-left: 17px; position: relative; overflow-wrap: anywhere; }
.account tbody th::before { content: ""; position: absolute; left: 0; top: 8px; width: 9px; height: 9px; border-radius: 2px;
  background: var(--kind); }
.account .reasons { color: var(--quiet); margin-left: 10px; font-variant-numeric: tabular-nums; }
.account tr.zero td, .account tr.zero th { color: var(--quiet); }
.account tr.apart > * { border-top: 1px solid var(--line); padding-top: 5px; }
.account tr.apart > th::before { top: 11px; }
.account tr.alarm, .account tr.alarm .reasons { color: var(--bad); }
.traffic { margin-top: 10px; padding-top: 10px; border-top: 1px solid var(--line); display: grid;
  grid-template-columns: auto 1fr; gap: 3px 16px; }
.traffic dt { font-size: inherit; }

.tools { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; margin-bottom: 10px; }
.tools h2 { margin: 0; }
.tools input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 7px;
  padding: 6px 11px; width: 320px; max-width: 100%; }
.tools #note { color: var(--quiet); margin-left: auto; }
section.list { margin-top: 30px; }
.wide { padding: 0; overflow-x: auto; }
#lineages { width: 100%; border-collapse: collapse; table-layout: fixed; }
#lineages > thead th:nth-child(n+2) { width: 108px; }
#lineages > thead th:nth-child(3) { width: 74px; }
#lineages > thead th { text-align: left; padding: 0; border-bottom: 1px solid var(--line); font-weight: 600; font-size: 13px;
  white-space: nowrap; }
#lineages > thead button { font: inherit; color: var(--quiet); background: none; border: 0; padding: 9px 14px; cursor: pointer;
  width: 100%; text-align: inherit; }
#lineages > thead th.number { text-align: right; }
#lineages > thead [aria-sort] button { color: var(--text); }
#lineages > thead [aria-sort] button::after { content: " ↓"; }
#lineages > thead [aria-sort=ascending] button::after { content: " ↑"; }
#lineages > tbody > tr > td { padding: 7px 14px; border-bottom: 1px solid var(--line); vertical-align: top; }
#lineages > tbody > tr:last-child > td { border-bottom: 0; }
#lineages > tbody > tr.row:hover { background: color-mix(in srgb, var(--flight) 6%, transparent); }
.opener { font: inherit; color: inherit; background: none; border: 0; padding: 0 0 0 18px; margin: 0; cursor: pointer;
  text-align: left; overflow-wrap: anywhere; position: relative; }
.opener::before { content: "▸"; position: absolute; left: 0; color: var(--quiet); }
.opener[aria-expanded=true]::before { content: "▾"; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 4px; }
#lineages .rest { color: var(--quiet); font-size: 13px; }
.detail > td { background: color-mix(in srgb, var(--track) 40%, transparent); }
.detail .scroll { overflow-x: auto; margin: 2px 0 10px 18px; }
.detail table { border-collapse: collapse; width: 100%; }
.detail caption { text-align: left; font-weight: 600; font-size: 13px; padding: 2px 0; }
.detail th { text-align: left; color: var(--quiet); font-weight: 400; font-size: 13px; padding: 2px 18px 2px 0;
  white-space: nowrap; }
.detail th.number { text-align: right; }
.detail td { padding: 2px 18px 2px 0; vertical-align: top; }
.detail td.path { overflow-wrap: anywhere; min-width: 220px; width: 60%; }
.empty { padding: 26px 18px; text-align: center; color: var(--quiet); }

@media (max-width: 1000px) { #tiles { grid-template-columns: repeat(6, 1fr); }
  #tiles > div { grid-column: span 2; } #tiles > div:nth-child(n+4) { grid-column: span 3; }
  #lineages > thead th.minor, #lineages > thead .minor button, #lineages > tbody > tr > td.minor { width: 0; padding: 0;
    font-size: 0; visibility: hidden; } }
@media (max-width: 640px) {
  header, main { padding-left: 12px; padding-right: 12px; }
  header #when { margin-left: 0; width: 100%; }
  h1 { font-size: 21px; line-height: 28px; } #state { padding: 13px 14px; gap: 12px; } #state::before { margin-top: 7px; }
  #tiles { grid-template-columns: 1fr 1fr; gap: 8px; }
  #tiles > div, #tiles > div:nth-child(n+4) { grid-column: auto; padding: 10px 12px; }
  #tiles > div:last-child { grid-column: span 2; }
  .card { padding: 13px 14px; } .wide { padding: 0; }
  .figures { grid-template-columns: 1fr 1fr; }
  .spark { width: 84px; }
  .account td, .account th.number { padding-left: 10px; min-width: 0; } .account .reasons { display: block; margin: 0; }
  #lineages > thead th:nth-child(n+2) { width: 82px; } #lineages .rest { display: block; font-size: 12px; }
  .tools input { width: 100%; } .tools #note { margin-left: 0; }
  #lineages > thead button, #lineages > tbody > tr > td { padding-left: 8px; padding-right: 8px; }
  .detail .scroll { margin-left: 0; }
}
`
