// The page's script: polls `status` each second while the page is seen, and writes what view.ts makes of it into the
// document. Names and paths come from whoever may start a pod, so text enters only as text nodes, never as markup.
// It is a string because it runs in a browser; what can be tested without one stands in view.ts.
import { lineagesScript } from './script-lineages.ts'
import { sinksScript } from './script-sinks.ts'
import { viewFunctions } from './view.ts'

const helpers = `
const byId = (id) => document.getElementById(id)

function make(tag, attributes, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value)
  node.append(...children)
  return node
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text
}

function mark(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value)
}

const number = (text) => make('td', { class: 'number' }, text)
`

const main = `
// ---- the state, the tiles

function showState(status) {
  const { tone, title, reasons } = headline(status)
  showHeadline(tone, title, reasons)
  const fields = [
    status.node && 'node ' + status.node,
    status.cluster && 'cluster ' + status.cluster,
    'version ' + status.version,
    'up ' + formatSeconds((status.now - status.startedAt) / 1000),
  ]
  say(byId('where'), fields.filter(Boolean).join(' · '))
  document.title = title + ' · ' + (status.node || 'taffrail')
}

function showHeadline(tone, title, reasons) {
  mark(byId('state'), 'data-tone', tone)
  say(byId('headline'), title)
  const list = byId('reasons')
  while (list.children.length > reasons.length) list.lastChild.remove()
  reasons.forEach((reason, i) => say(list.children[i] ?? list.appendChild(make('li')), reason))
}

function showTile(id, large, small, alarm) {
  const [first, second] = byId(id).querySelectorAll('dd')
  say(first, large)
  say(second, small)
  first.classList.toggle('alarm', alarm)
}

function showTiles(status, older) {
  const sum = (values) => values.reduce((total, value) => total + value, 0)
  const rates = status.sinks.map((sink) => throughput(older, status, sink.name)).filter(Boolean)
  showTile(
    'tile-rate',
    rates.length === 0 ? '–' : formatCount(sum(rates.map((rate) => rate.lines))) + ' lines/s',
    rates.length === 0 ? 'measuring' : formatBytes(sum(rates.map((rate) => rate.bytes))) + '/s',
    false,
  )
  const oldest = Math.max(0, ...status.sinks.map((sink) => sink.oldestUnackedSeconds))
  showTile('tile-lag', formatBytes(sum(status.sinks.map((sink) => sink.lagBytes))), 'oldest ' + formatSeconds(oldest), false)

  const { budgetBytes, usedBytes } = status.memory
  showTile('tile-memory', formatBytes(usedBytes), 'of ' + formatBytes(budgetBytes) + ' for data in flight', false)
  byId('memory-bar').style.width = budgetBytes > 0 ? Math.min(100, (100 * usedBytes) / budgetBytes) + '%' : '0'

  const { ageSeconds, pending, failing } = status.checkpoints
  const late = failing !== null || ageSeconds > 5
  showTile(
    'tile-checkpoint',
    pending === 0 && failing === null ? 'Durable' : formatSeconds(ageSeconds) + ' behind',
    failing ?? (pending === 0 ? 'nothing pending' : formatCount(pending) + ' pending'),
    late,
  )
  const files = status.lineages.flatMap((lineage) => lineage.files)
  const held = files.filter((file) => !file.linked)
  const { rotations, truncations, filesRefused, fileErrors } = status.counters
  const notes = [
    held.length > 0 && formatCount(held.length) + ' held unlinked (' + formatBytes(held.reduce((n, file) => n + file.sizeBytes, 0)) + ')',
    formatCount(rotations) + ' rotations',
    truncations > 0 && formatCount(truncations) + ' truncations',
    filesRefused > 0 && formatCount(filesRefused) + ' refused',
    fileErrors > 0 && formatCount(fileErrors) + ' errors',
  ]
  showTile('tile-files', formatCount(files.length), notes.filter(Boolean).join(' · '), false)
}

function showNotes(section, listId, notes) {
  byId(section).hidden = notes.length === 0
  const list = byId(listId)
  while (list.children.length > notes.length) list.lastChild.remove()
  notes.forEach((note, i) => say(list.children[i] ?? list.appendChild(make('li')), note))
}

// ---- polling

const pollMs = 1000
// Rates are taken over some seconds, so that they do not flicker with every batch.
const rateSeconds = 5
const past = []
let latest = null
let answeredAt = null
let timer = null

async function poll() {
  clearTimeout(timer)
  timer = null
  if (document.hidden) return say(byId('when'), 'paused')
  try {
    const answer = await fetch('status', { cache: 'no-store', signal: AbortSignal.timeout(5000) })
    if (!answer.ok) throw new Error('the agent answered ' + answer.status)
    show(await answer.json())
  } catch (error) {
    showSilence(error)
  }
  if (timer === null) timer = setTimeout(poll, pollMs)
}

function show(status) {
  const previous = past.at(-1)
  const older = past[0]
  latest = status
  answeredAt = Date.now()
  document.body.classList.remove('stale')
  say(byId('when'), new Date(status.now).toISOString().slice(0, 19).replace('T', ' ') + ' UTC')
  showState(status)
  showTiles(status, older)
  showSinks(status, older, previous)
  showNotes('webhooks', 'webhook-notes', webhookNotes(status))
  showNotes('annotations', 'annotation-notes', annotationNotes(status))
  showLineages()
  past.push({ now: status.now, startedAt: status.startedAt, sinks: status.sinks })
  while (past.length > 1 && status.now - past[0].now >= rateSeconds * 1000) past.shift()
}

function showSilence(error) {
  document.body.classList.add('stale')
  const since = answeredAt === null ? '' : 'Last answer ' + formatSeconds((Date.now() - answeredAt) / 1000) + ' ago. '
  showHeadline('bad', 'No answer from the agent', [since + error.message])
  document.title = 'No answer · taffrail'
}

document.addEventListener('visibilitychange', poll)
poll()
`

/** The whole script. */
export const script = ["'use strict'", ...viewFunctions.map(String), helpers, sinksScript, lineagesScript, main].join(
  '\n',
)
