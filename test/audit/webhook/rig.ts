// A webhook on a disk and a clock of its own, with whoever sends to it in the same process: everything but the sockets.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { maskWith } from '../../../src/audit/redact/mask.ts'
import { DurableReads } from '../../../src/audit/webhook/durable-reads.ts'
import type { Answer, ListenerOptions, Receiver } from '../../../src/audit/webhook/listener.ts'
import { Webhook, type WebhookDeps } from '../../../src/audit/webhook/webhook.ts'
import { MemoryCheckpoints } from '../../../src/checkpoint/memory-store.ts'
import type { AuditWebhookSourceConfig } from '../../../src/config/config.ts'
import type { AgentEvents, EventName } from '../../../src/core/events.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultyFileSystem } from '../../support/faulty-fs.ts'

export const SPOOL = '/state/spool/hook'

export const CONFIG: AuditWebhookSourceConfig = {
  type: 'auditWebhook',
  name: 'hook',
  listen: '127.0.0.1:0',
  tls: null,
  tokenFile: null,
  bodyBytesMax: 1024 * 1024,
  spoolBytesMax: 16 * 1024 * 1024,
  policyFile: null,
  redaction: { keyFile: null },
}

export class WebhookRig {
  readonly events: { [Name in EventName]?: AgentEvents[Name][] } = {}
  readonly clock: FakeClock
  readonly disk: FaultyFileSystem
  readonly checkpoints: MemoryCheckpoints
  readonly webhook: Webhook
  #receiver: Receiver | null = null

  constructor(
    options: {
      config?: Partial<AuditWebhookSourceConfig>
      deps?: Partial<WebhookDeps>
      disk?: FaultyFileSystem
      clock?: FakeClock
      checkpoints?: MemoryCheckpoints
    } = {},
  ) {
    this.clock = options.clock ?? new FakeClock()
    this.disk = options.disk ?? new FaultyFileSystem()
    this.checkpoints = options.checkpoints ?? new MemoryCheckpoints()
    const { events } = this
    this.webhook = new Webhook(
      { ...CONFIG, ...options.config },
      {
        stateDir: '/state',
        memoryBytes: 96 * 1024 * 1024,
        sinks: ['loki'],
        audit: { policy: null, mask: maskWith(null) },
        fs: this.disk,
        durable: new DurableReads(this.disk.reads),
        clock: this.clock,
        events: {
          emit(name, detail) {
            const told = (events[name] ?? []) as unknown[]
            events[name] = [...told, detail] as never
          },
        },
        checkpoints: this.checkpoints,
        readFile: () => Buffer.from('token\n'),
        listen: async ({ receiver }: ListenerOptions) => {
          this.#receiver = receiver
          return { address: 'here', close: async () => {} }
        },
        readTls: () => () => ({}),
        onJournal() {},
        ...options.deps,
      },
    )
  }

  async start(): Promise<this> {
    this.webhook.start(true)
    await this.webhook.opened
    while (this.webhook.status().address === null) await new Promise(setImmediate)
    return this
  }

  /** Sends a batch as the listener hands it on. */
  async send(body: string | Buffer, apiServer = 'cp-1'): Promise<Answer | null> {
    const receiver = this.#receiver as Receiver
    const bytes = Buffer.from(body)
    const request = new IncomingMessage(new Socket())
    const feed = () => {
      request.push(bytes)
      request.push(null)
      request.complete = true
    }
    const refusal = await receiver.refuse(bytes.length)
    if (refusal !== null) {
      receiver.passing(apiServer, request, bytes.length, refusal)
      feed()
      await new Promise((resolve) => request.once('close', resolve))
      return refusal
    }
    const answer = receiver.take(apiServer, request, bytes.length)
    feed()
    return answer
  }

  /** The lines of an API server's spool. */
  lines(apiServer = 'cp-1'): string[] {
    const names = this.disk.reads
      .readdir(`${SPOOL}/${apiServer}`)
      .sort((a, b) => Number(a === 'audit.log') - Number(b === 'audit.log') || (a < b ? -1 : 1))
    return names.flatMap((name) =>
      (this.disk.peek(`${SPOOL}/${apiServer}/${name}`) as Buffer).toString().split('\n').slice(0, -1),
    )
  }
}

export function event(auditID: string, more: object = {}): object {
  return {
    level: 'Metadata',
    auditID,
    stage: 'ResponseComplete',
    requestURI: '/api/v1/namespaces/a/pods/b',
    verb: 'get',
    user: { username: 'alice' },
    stageTimestamp: '2026-11-21T07:51:17.474222Z',
    ...more,
  }
}

export function batch(...items: unknown[]): string {
  return `${JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items })}\n`
}
