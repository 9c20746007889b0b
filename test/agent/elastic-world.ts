// What the tests of an agent with an elasticsearch sink share.
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import type { ElasticsearchSinkConfig } from '../../src/config/config.ts'
import type { BulkFault } from '../support/memory-elastic.ts'
import { elasticConfig, World, type WorldOptions } from './world.ts'

export const MINUTE_MS = 60_000

export function worldOf(t: Test, over: Partial<ElasticsearchSinkConfig> = {}, options: WorldOptions = {}): World {
  return new World(t, { sinks: [elasticConfig(over)], ...options })
}

/** Every line of every pod is stored once, and nothing else is. */
export function exact(t: Test, world: World, gone: readonly string[] = []): void {
  const stored = world.elastic.documents.map(({ source }) => {
    const { kubernetes, stream, message } = source as {
      kubernetes: { pod: { name: string } }
      stream: string
      message: string
    }
    return `${kubernetes.pod.name} ${stream} ${short(message)}`
  })
  const written = [...world.written].flatMap(([pod, lines]) =>
    lines.filter(({ text }) => !gone.includes(text)).map(({ text, stream }) => `${pod} ${stream} ${short(text)}`),
  )
  t.strictSame(stored.sort(), written.sort(), 'each line once')
}

export const status = (status: number, body = '', headers: Record<string, string> = {}): BulkFault => ({
  kind: 'answer',
  status,
  body,
  headers,
})
export const error = (status: number, type: string, reason: string): BulkFault => ({
  kind: 'answer',
  status,
  body: JSON.stringify({ error: { type, reason }, status }),
})

export function changed(body: string, change: (items: unknown[]) => unknown[]): string {
  const answer = JSON.parse(body) as { items: unknown[] }
  return JSON.stringify({ ...answer, items: change(answer.items) })
}

/** A long line by its hash: nobody reads the difference of two megabytes. */
function short(text: string): string {
  return text.length < 1000 ? text : createHash('sha256').update(text).digest('hex')
}
