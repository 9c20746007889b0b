// The ports of an agent that runs for real: this machine's files, clock and network, and a state directory that belongs
// to this process alone. Shared by the commands that run one.
import type { AgentPorts } from '../agent/ports.ts'
import type { ReadTls } from '../audit/webhook/webhook.ts'
import { acquireStateLock } from '../checkpoint/lock.ts'
import { createCheckpointStore } from '../checkpoint/store.ts'
import type { Events } from '../core/events.ts'
import { createDeadLetters } from '../deliver/dead-letters.ts'
import { accessFor } from '../enrich/access.ts'
import { readProcess } from '../observe/process.ts'
import { realClock } from '../ports/clock.ts'
import { realCpuTime } from '../ports/cpu.ts'
import { realGunzip } from '../ports/gunzip.ts'
import { watchDirectories } from '../ports/hints.ts'
import { outputTo } from '../ports/output.ts'
import { realRandom } from '../ports/random.ts'
import { realFileSystem } from '../ports/real-fs.ts'
import { createHttpClient } from '../ports/real-http.ts'
import { ServerTls } from '../ports/tls-files.ts'
import { watchFile } from '../ports/watch-file.ts'

export interface RealPorts {
  ports: AgentPorts
  /** Makes the state durable; after the agent has stopped. */
  close(): Promise<void>
  /** False once another process has taken the state directory over: this one must stop writing. Throws the system's error. */
  isHeld(): boolean
  /** Lets another process have the state directory. */
  release(): void
}

/** The files of a webhook's TLS, as they are now. */
const readTls: ReadTls = ({ certFile, keyFile, clientCaFile }) => {
  const files = { certFile, keyFile, ...(clientCaFile !== undefined && { caFile: clientCaFile }) }
  const tls = new ServerTls(files, () => realClock.monotonic())
  return () => tls.current()
}

/** Locks the state directory, which is made if it is missing, and reads the checkpoints. Throws `STATE_LOCKED` or the system's error. */
export async function openRealPorts(stateDir: string, events: Events): Promise<RealPorts> {
  const lock = acquireStateLock(stateDir)
  try {
    const common = { directory: stateDir, clock: realClock, events }
    const checkpoints = createCheckpointStore({ ...common, fs: realFileSystem.writes })
    await checkpoints.open()
    const deadLetters = createDeadLetters({ ...common, fs: realFileSystem })
    const { maxFds, openFds } = readProcess()
    const ports: AgentPorts = {
      fs: realFileSystem,
      clock: realClock,
      random: realRandom,
      gunzip: realGunzip,
      createHttpClient,
      watchDirectories,
      watchFile,
      output: outputTo(1),
      ...(maxFds !== null && openFds !== null && { descriptors: maxFds - openFds }),
      cpuTime: realCpuTime,
      events,
      checkpoints,
      deadLetters,
      webhooks: { listen: async (options) => (await import('../audit/webhook/listener.ts')).listen(options), readTls },
      apiAccess: (kubernetes) => accessFor(kubernetes, process.env),
    }
    const close = async () => {
      await deadLetters.close()
      await checkpoints.close()
    }
    return { ports, close, isHeld: () => lock.isHeld(), release: () => lock.release() }
  } catch (error) {
    lock.release()
    throw error
  }
}
