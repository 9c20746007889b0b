// The policies that a configuration names, read from their files.
import type { Config } from '../../config/config.ts'
import type { ConfigError } from '../../config/config-error.ts'
import { readConfigText } from '../../config/machine.ts'
import { loadPolicy, type PolicyResult } from './load.ts'
import { deadRules } from './reach.ts'

/** Reads the policy at `path`. A file that cannot be read is one error without a line. */
export function loadPolicyFile(path: string): PolicyResult {
  const file = readConfigText(path)
  if ('text' in file) return loadPolicy(file.text, path)
  return { errors: [{ path, line: 0, column: 0, key: '', message: file.problem, suggestion: null }], warnings: [] }
}

/**
 * What is wrong with the configuration's policies, and what an operator should know of them: what the API server would
 * only warn of, and rules that can never match.
 */
export function checkPolicies(config: Config): { errors: ConfigError[]; warnings: ConfigError[] } {
  const errors: ConfigError[] = []
  const warnings: ConfigError[] = []
  const paths = config.sources.flatMap((source) =>
    'policyFile' in source && source.policyFile !== null ? [source.policyFile] : [],
  )
  for (const path of new Set(paths)) {
    const loaded = loadPolicyFile(path)
    warnings.push(...loaded.warnings)
    if ('errors' in loaded) errors.push(...loaded.errors)
    else {
      for (const { rule, reason, isCertain } of deadRules(loaded.policy)) {
        const place = loaded.places[rule] ?? { line: 1, column: 1 }
        const message = `this rule ${isCertain ? 'can never match' : 'matches no usual request'}: ${reason}`
        warnings.push({ path, ...place, key: `rules[${rule}]`, message, suggestion: null })
      }
    }
  }
  return { errors, warnings }
}
