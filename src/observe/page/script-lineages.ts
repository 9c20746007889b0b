// The part of the page's script that shows the table of lineages: search, order, at most so many rows, and the files
// and offsets of those that were opened. A string, as script.ts says, which also has the helpers that it uses.

export const lineagesScript = `
const rowsMax = 200
const rows = new Map()
const opened = new Set()
const view = { search: '', sortBy: 'lagBytes', descending: true, rowsMax }
let order = []

function makeRow(key) {
  const name = make('span')
  const rest = make('span', { class: 'rest' })
  const opener = make('button', { type: 'button', class: 'opener', 'aria-expanded': 'false' }, name, ' ', rest)
  const cells = ['minor', 'number minor', 'number minor', 'number', 'number', 'number'].map((name) => make('td', { class: name }))
  const row = make('tr', { class: 'row' }, make('td', {}, opener), ...cells)
  const box = make('td', { colspan: '7' })
  const detail = make('tr', { class: 'detail' }, box)
  opener.addEventListener('click', () => {
    if (!opened.delete(key)) opened.add(key)
    showLineages()
  })
  return { row, opener, name, rest, cells, detail, box }
}

function showLineages() {
  const list = byId('rows')
  const { rows: wanted, matching } = lineageRows(latest.lineages, view)
  const byKey = new Map(wanted.map((each) => [each.key, each]))
  // Rows stay where they are while somebody is about to press or read one.
  const held = list.matches(':hover, :focus-within')
  const keys = held ? [...new Set([...order.filter((key) => byKey.has(key)), ...byKey.keys()])] : [...byKey.keys()]
  order = keys
  for (const [key, entry] of rows) {
    if (byKey.has(key)) continue
    entry.row.remove()
    entry.detail.remove()
    rows.delete(key)
  }
  let next = list.firstChild
  const place = (node) => {
    if (node === next) next = next.nextSibling
    else list.insertBefore(node, next)
  }
  for (const key of keys) {
    const { lineage, lagBytes, lagSeconds, lossSeconds, sizeBytes } = byKey.get(key)
    let entry = rows.get(key)
    if (entry === undefined) rows.set(key, (entry = makeRow(key)))
    const [name, uid] = lineageName(lineage)
    say(entry.name, name)
    say(entry.rest, uid)
    const texts = [lineage.source, formatCount(lineage.files.length), formatBytes(sizeBytes), formatBytes(lagBytes), formatSeconds(lagSeconds), lossSeconds === null ? '' : formatSeconds(lossSeconds)]
    texts.forEach((text, i) => say(entry.cells[i], text))
    place(entry.row)
    const open = opened.has(key)
    mark(entry.opener, 'aria-expanded', open)
    if (open) {
      showDetail(entry, lineage)
      place(entry.detail)
    } else if (entry.detail.parentNode) {
      if (next === entry.detail) next = next.nextSibling
      entry.detail.remove()
    }
  }
  const total = latest.lineages.length
  const empty = byId('no-lineages')
  empty.hidden = matching > 0
  say(empty, total === 0 ? 'No files are followed yet.' : 'Nothing matches the search.')
  const counted = matching === total ? formatCount(total) + ' followed' : formatCount(matching) + ' of ' + formatCount(total) + ' match'
  say(byId('note'), matching > keys.length ? counted + ', the first ' + keys.length + ' are shown' : counted)
}

function showDetail(entry, lineage) {
  const text = JSON.stringify(lineage)
  if (entry.shown === text) return
  entry.shown = text
  const head = (title) => make('th', { scope: 'col', class: title.startsWith('#') ? 'number' : '' }, title.replace('#', ''))
  const table = (title, heads, body) => make('div', { class: 'scroll' }, make('table', {}, make('caption', {}, title),
    make('thead', {}, make('tr', {}, ...heads.map(head))), make('tbody', {}, ...body)))
  const path = (text) => make('td', { class: 'path' }, text)
  const files = lineage.files.map((file) => make('tr', {}, path(file.path), number(formatBytes(file.sizeBytes)),
    make('td', {}, file.compressed ? 'compressed' : 'plain'), make('td', {}, file.linked ? 'in place' : 'unlinked, held'),
    number(file.dev + ':' + file.ino)))
  const fileName = (path) => path.slice(path.lastIndexOf('/') + 1)
  const offsets = lineage.sinks.map((sink) => make('tr', {}, make('td', {}, sink.sink),
    path(fileName(sink.path ?? 'not begun') + (sink.ackedPath === null || sink.ackedPath === sink.path ? '' : ', acked in ' + fileName(sink.ackedPath))),
    number(formatCount(sink.readOffset)), number(formatCount(sink.ackedOffset)), number(formatBytes(sink.lagBytes)), number(formatSeconds(sink.lagSeconds)),
    number(sink.lossSeconds === null ? '' : formatSeconds(sink.lossSeconds))))
  entry.box.replaceChildren(
    table('Files', ['Path', '#Size', 'Stored', 'Name', '#Device:inode'], files),
    table('Offsets', ['Sink', 'Reads', '#Read to', '#Acked to', '#Lag', '#Waiting', '#Lost in'], offsets))
}

byId('search').addEventListener('input', (event) => {
  view.search = event.target.value
  if (latest) showLineages()
})

for (const button of document.querySelectorAll('#lineages thead button')) {
  button.addEventListener('click', () => {
    const sortBy = button.dataset.sort
    view.descending = view.sortBy === sortBy ? !view.descending : sortBy !== 'lineage' && sortBy !== 'source'
    view.sortBy = sortBy
    for (const head of document.querySelectorAll('#lineages thead th')) head.removeAttribute('aria-sort')
    button.parentNode.setAttribute('aria-sort', view.descending ? 'descending' : 'ascending')
    if (latest) showLineages()
  })
}
`
