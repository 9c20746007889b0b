// How the agent under test is started: its configuration file, with everything at its default but the addresses, and
// its command line. Any other program that takes `--config FILE [--once]` can stand in its place.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Contender {
  name: string
  /** Program and arguments in front of `--config FILE`. */
  command: readonly string[]
}

const root = new URL('../', import.meta.url).pathname
export const AGENT: Contender = { name: 'taffrail', command: [process.execPath, join(root, 'src/main.ts'), 'run'] }

/** `name=command …` or a bare command, split at blanks. */
export function parseContender(text: string, index: number): Contender {
  const [, name, command] = /^(?:([\w.-]+)=)?(.+)$/s.exec(text)!
  return { name: name ?? `agent ${index + 1}`, command: command!.trim().split(/\s+/) }
}

/** Writes the configuration below `directory` and returns the whole command line. State goes to `directory/state`. */
export function agentCommand(
  contender: Contender,
  options: { directory: string; links: string; url: string; once: boolean },
): string[] {
  const stateDir = join(options.directory, 'state')
  mkdirSync(stateDir, { recursive: true })
  const config = {
    clusterName: 'bench',
    nodeName: 'node-1',
    stateDir,
    kubernetes: { metadata: 'off' },
    sources: [{ name: 'containers', type: 'containers', paths: [join(options.links, '*.log')] }],
    sinks: [{ name: 'loki', type: 'loki', url: options.url }],
    limits: { memory: '96Mi' },
    server: { listen: '127.0.0.1:0' },
  }
  const path = join(options.directory, 'config.yaml')
  writeFileSync(path, JSON.stringify(config, null, 2))
  return [...contender.command, '--config', path, ...(options.once ? ['--once'] : [])]
}
