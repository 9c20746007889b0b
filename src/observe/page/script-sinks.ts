// The part of the page's script that shows the sinks: one card each, made once and then kept up to date. A string, as
// script.ts says, which also has the helpers that it uses.

export const sinksScript = `
const sparkSamples = 60
const cards = new Map()

function makeCard(sink) {
  const svg = (tag) => document.createElementNS('http://www.w3.org/2000/svg', tag)
  const spark = svg('svg')
  spark.setAttribute('class', 'spark')
  spark.setAttribute('viewBox', '0 0 100 28')
  spark.setAttribute('preserveAspectRatio', 'none')
  spark.setAttribute('aria-hidden', 'true')
  const area = spark.appendChild(svg('polygon'))
  const line = spark.appendChild(svg('polyline'))
  const pill = make('span', { class: 'pill' })
  const figures = make('dl', { class: 'figures' })
  const figure = (title) => {
    const value = make('dd')
    figures.append(make('div', {}, make('dt', {}, title), value))
    return value
  }
  const error = make('p', { class: 'error' })
  const bar = make('div', { class: 'bar', 'aria-hidden': 'true' })
  const caption = make('caption')
  const body = make('tbody')
  const head = make('tr', {},
    make('th', { scope: 'col' }, 'Where it went'),
    make('th', { scope: 'col', class: 'number' }, 'Bytes'),
    make('th', { scope: 'col', class: 'number' }, 'Lines'))
  const traffic = make('dl', { class: 'traffic' })
  const fact = (title) => {
    const value = make('dd')
    traffic.append(make('dt', {}, title), value)
    return value
  }
  const root = make('article', { class: 'card sink' },
    make('div', { class: 'title' }, make('h3', {}, sink.name), make('span', { class: 'quiet' }, sink.type), pill, spark),
    figures, error, bar, make('table', { class: 'account' }, caption, make('thead', {}, head), body), traffic)
  return {
    root, pill, area, line, error, bar, caption, body, history: [],
    lines: figure('Lines per second'), bytes: figure('Bytes per second'),
    lag: figure('Lag'), oldest: figure('Oldest unacked'),
    lanes: fact('Lanes'), answers: fact('Answers'), repeats: fact('Repeats'), lastAck: fact('Last ack'),
  }
}

function showSinks(status, older, previous) {
  for (const [name, card] of cards) {
    if (!status.sinks.some((sink) => sink.name === name)) {
      card.root.remove()
      cards.delete(name)
    }
  }
  byId('no-sinks').hidden = status.sinks.length > 0
  for (const sink of status.sinks) {
    let card = cards.get(sink.name)
    if (card === undefined) {
      cards.set(sink.name, (card = makeCard(sink)))
      byId('sinks').append(card.root)
    }
    showSink(card, sink, throughput(older, status, sink.name), throughput(previous, status, sink.name), status.now)
  }
}

function showSink(card, sink, rate, rateNow, now) {
  mark(card.root, 'data-state', sink.state)
  mark(card.pill, 'data-state', sink.state)
  say(card.pill, { ok: 'ok', retrying: 'retrying', halted: 'halted, needs an operator' }[sink.state] ?? sink.state)
  say(card.lines, rate === null ? '–' : formatCount(rate.lines))
  say(card.bytes, rate === null ? '–' : formatBytes(rate.bytes))
  say(card.lag, formatBytes(sink.lagBytes))
  say(card.oldest, formatSeconds(sink.oldestUnackedSeconds))
  card.error.hidden = sink.lastError === null
  say(card.error, sink.lastError ?? '')
  if (rateNow !== null) showSpark(card, rateNow.bytes)
  showAccount(card, sink)
  const waiting = sink.lanesRetrying > 0 ? ', ' + formatCount(sink.lanesRetrying) + ' waiting to repeat' : ''
  const inFlight = ', ' + formatCount(sink.requestsInFlight) + (sink.requestsInFlight === 1 ? ' request' : ' requests') + ' in flight'
  say(card.lanes, formatCount(sink.lanes) + waiting + inFlight)
  say(card.answers, byCode(sink.requests))
  say(card.repeats, byCode(sink.retries))
  say(card.lastAck, sink.lastAckAt === null ? 'none yet' : formatSeconds(Math.max(0, (now - sink.lastAckAt) / 1000)) + ' ago')
}

function byCode(counts) {
  const seen = Object.entries(counts).filter(([, count]) => count > 0)
  return seen.map(([code, count]) => formatCount(count) + (code === 'error' ? ' without answer' : ' with ' + code)).join(', ') || 'none'
}

function showSpark(card, value) {
  card.history.push(Math.max(0, value))
  if (card.history.length > sparkSamples) card.history.shift()
  const top = Math.max(1, ...card.history)
  const left = sparkSamples - card.history.length
  const points = card.history.map((each, i) =>
    (((left + i) / (sparkSamples - 1)) * 100).toFixed(1) + ',' + (27 - (each / top) * 25).toFixed(1))
  const start = ((left / (sparkSamples - 1)) * 100).toFixed(1)
  card.line.setAttribute('points', points.join(' '))
  card.area.setAttribute('points', start + ',28 ' + points.join(' ') + ' 100,28')
}

function showAccount(card, sink) {
  const { parts, lost, off } = balance(sink)
  const balances = off.bytes === 0 && off.lines === 0
  say(card.caption, 'Read ' + formatBytes(sink.read.bytes) + ' in ' + formatCount(sink.read.lines) + ' lines. ' +
    (balances ? 'The account balances.' : 'The account is off by ' + formatCount(off.bytes) + ' bytes and ' + formatCount(off.lines) + ' lines.'))
  card.caption.classList.toggle('alarm', !balances)
  const shown = parts.filter((part) => part.bytes > 0)
  while (card.bar.children.length > shown.length) card.bar.lastChild.remove()
  shown.forEach((part, i) => {
    const segment = card.bar.children[i] ?? card.bar.appendChild(make('div'))
    mark(segment, 'data-kind', part.kind)
    segment.style.flex = part.bytes + ' 1 0'
  })
  const rows = [...parts, lost]
  rows.forEach((part, i) => {
    const row = card.body.children[i] ?? card.body.appendChild(
      make('tr', {}, make('th', { scope: 'row' }, make('span'), make('span', { class: 'reasons' })), number(''), number('')))
    const zero = part.bytes === 0 && part.lines === 0 && part.reasons.length === 0
    mark(row, 'data-kind', part.kind)
    mark(row, 'class', (zero ? 'zero' : part === lost ? 'alarm' : '') + (part === lost ? ' apart' : ''))
    const [title, bytes, lines] = row.children
    const amount = (each) => (part !== lost ? formatCount(each.lines) : each.bytes > 0 ? formatBytes(each.bytes) : '(unknown size)')
    say(title.children[0], part.title)
    say(title.children[1], part.reasons.map(([reason, each]) => reason + ' ' + amount(each)).join(', '))
    say(bytes, formatBytes(part.bytes))
    say(lines, part === lost ? '' : formatCount(part.lines))
  })
}
`
