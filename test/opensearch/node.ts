// A real OpenSearch node for the suite, from packages that Maven fetches (its own settings say from where), when there is
// a JDK of 21 or newer (JAVA_HOME) and mvn. Built once into `taffrail-opensearch` below the system's temporary directory;
// runs on 127.0.0.1 alone, and never outlives this process. With TAFFRAIL_TEST_OPENSEARCH that endpoint is used instead.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'

const READY_MS_MAX = 180_000
const SOURCES = join(import.meta.dirname, 'node')

export class OpenSearchNode {
  readonly url: string
  readonly #directory: string
  readonly #port: number
  readonly #settings: readonly string[]
  #child: ChildProcess | null = null

  private constructor(directory: string, port: number, settings: readonly string[]) {
    this.url = `http://127.0.0.1:${port}`
    this.#directory = directory
    this.#port = port
    this.#settings = settings
  }

  /** A node with an empty directory of its own. `settings` as `name=value`. */
  static async start(settings: readonly string[] = []): Promise<OpenSearchNode> {
    build()
    const node = new OpenSearchNode(mkdtempSync(join(tmpdir(), 'taffrail-node-')), await freePort(), settings)
    process.once('exit', () => node.remove())
    await node.run()
    return node
  }

  async run(): Promise<void> {
    const { jars, classes, java } = paths()
    const options = [
      '-Xms512m',
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '--add-modules=jdk.incubator.vector',
      '--enable-native-access=ALL-UNNAMED',
    ]
    const args = [
      ...options,
      '-cp',
      `${classes}:${jars}/*`,
      'Main',
      this.#directory,
      String(this.#port),
      ...this.#settings,
    ]
    this.#child = spawn(java, args, { cwd: this.#directory, stdio: 'ignore' })
    await untilReady(this.url)
  }

  /** As a power cut does it. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  remove(): void {
    this.#child?.kill('SIGKILL')
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}

/** Resolves when the endpoint answers as a cluster that takes documents. */
export async function untilReady(url: string): Promise<void> {
  for (const deadline = Date.now() + READY_MS_MAX; Date.now() < deadline; await sleep(500)) {
    try {
      const health = await fetch(`${url}/_cluster/health?wait_for_status=yellow&timeout=5s`)
      if (health.status === 200) return
    } catch {
      // It does not listen yet.
    }
  }
  throw new Error(`${url} was not ready within ${READY_MS_MAX / 1000} s`)
}

function paths() {
  const home = join(tmpdir(), 'taffrail-opensearch')
  const bin = process.env.JAVA_HOME === undefined ? '' : `${process.env.JAVA_HOME}/bin/`
  return { home, jars: join(home, 'jars'), classes: join(home, 'classes'), java: `${bin}java`, javac: `${bin}javac` }
}

function build(): void {
  const { home, jars, classes, javac } = paths()
  const done = join(home, 'done')
  if (existsSync(done)) return
  mkdirSync(home, { recursive: true })
  copyFileSync(join(SOURCES, 'pom.xml'), join(home, 'pom.xml'))
  const goals = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${jars}`]
  execFileSync('mvn', ['-q', '-B', ...goals], { cwd: home, stdio: ['ignore', 'ignore', 'inherit'] })
  execFileSync(javac, ['-cp', `${jars}/*`, '-d', classes, join(SOURCES, 'Main.java')], { stdio: 'inherit' })
  writeFileSync(done, '')
}
