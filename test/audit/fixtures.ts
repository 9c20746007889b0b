// The captured audit logs and policies, as tests need them.
import { readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const DIRECTORY = new URL('../fixtures/audit/', import.meta.url)

export function fixture(name: string): Buffer {
  const bytes = readFileSync(new URL(name, DIRECTORY))
  return name.endsWith('.gz') ? gunzipSync(bytes) : bytes
}

export function fixtureNames(directory: string, suffix: string): string[] {
  return readdirSync(new URL(directory, DIRECTORY))
    .filter((name) => name.endsWith(suffix))
    .sort()
}

/** The lines of a fixture, without their newlines. */
export function fixtureLines(name: string): string[] {
  return fixture(name).toString().trimEnd().split('\n')
}
