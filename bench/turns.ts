// Preloaded into the agent (`node --import`): how much CPU its main thread uses in one turn of the event loop, V8's own
// collections included, which is for how long nothing else is served on a core of one's own. Written when the process
// ends to the file that TURNS_FILE names. The first second of CPU is the start, and not counted.
import { writeFileSync } from 'node:fs'

const START_MS = 1000
const OVER_MS = 20

const usedMs = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

const found = { turns: 0, over: 0, longestMs: 0 }
let before = usedMs()

function turn(): void {
  const now = usedMs()
  const ms = now - before
  before = now
  if (now > START_MS) {
    found.turns++
    if (ms > OVER_MS) found.over++
    found.longestMs = Math.max(found.longestMs, ms)
  }
  setImmediate(turn).unref()
}

setImmediate(turn).unref()
process.on('exit', () => writeFileSync(process.env.TURNS_FILE ?? '/dev/null', JSON.stringify(found)))
