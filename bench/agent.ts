// How the agent under test is started: its configuration file, with everything at its default but the addresses, and
// its command line: from its source, or built as it is shipped. Any other program that takes `--config FILE [--once]`
// can stand in its place.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Contender {
  name: string
  /** Program and arguments in front of `--config FILE`. */
  command: readonly string[]
}

const root = new URL('../', import.meta.url).pathname
export const AGENT: Contender = { name: 'taffrail', command: [process.execPath, join(root, 'src/main.ts'), 'run'] }

/** Compiles the agent into `directory` (as `npm run build` does into dist) and returns the built one. */
export function buildAgent(directory: string): Contender {
  copyFileSync(join(root, 'package.json'), join(directory, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  const compiler = join(root, 'node_modules/.bin/tsc')
  const dist = join(directory, 'dist')
  const built = spawnSync(compiler, ['-p', join(root, 'tsconfig.build.json'), '--outDir', dist], { encoding: 'utf8' })
  const main = join(dist, 'main.js')
  if (!existsSync(main)) throw new Error(`the build failed: ${built.stdout}${built.stderr}`)
  return { name: 'taffrail', command: [process.execPath, main, 'run'] }
}

/** `name=command …` or a bare command, split at blanks. */
export function parseContender(text: string, index: number): Contender {
  const [, name, command] = /^(?:([\w.-]+)=)?(.+)$/s.exec(text)!
  return { name: name ?? `agent ${index + 1}`, command: command!.trim().split(/\s+/) }
}

/** Writes the configuration below `directory` and returns the whole command line. State goes to `directory/state`. */
export function agentCommand(
  contender: Contender,
  options: { directory: string; links: string; url: string; once: boolean; sink?: object; kubeconfig?: string | null },
): string[] {
  const { kubeconfig = null } = options
  const stateDir = join(options.directory, 'state')
  mkdirSync(stateDir, { recursive: true })
  const config = {
    clusterName: 'bench',
    nodeName: 'node-1',
    stateDir,
    kubernetes: { metadata: kubeconfig === null ? 'off' : { kubeconfig } },
    sources: [{ name: 'containers', type: 'containers', paths: [join(options.links, '*.log')] }],
    sinks: [options.sink ?? { name: 'loki', type: 'loki', url: options.url }],
    limits: { memory: '96Mi' },
    server: { listen: '127.0.0.1:0' },
  }
  const path = join(options.directory, 'config.yaml')
  writeFileSync(path, JSON.stringify(config, null, 2))
  return [...contender.command, '--config', path, ...(options.once ? ['--once'] : [])]
}
