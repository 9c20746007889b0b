// docs/pods.md says what pods may ask for and what is said of them: all that is, and nothing that is not.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { labelsOf } from '../../src/core/labels.ts'
import { pathMetadata } from '../../src/core/metadata.ts'
import { DIRECTIVES, directivesOf, isDirective } from '../../src/enrich/directives.ts'
import { APP_LABELS } from '../../src/enrich/owner.ts'

const TEXT = readFileSync(fileURLToPath(new URL('../../docs/pods.md', import.meta.url)), 'utf8')

/** The rows of the table with that head, as their cells. */
function rows(head: string): string[][] {
  const [table = ''] = TEXT.slice(TEXT.indexOf(head)).split('\n\n')
  return table
    .split('\n')
    .slice(2)
    .map((row) => row.split('|').slice(1, -1))
}

const codes = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code as string)

t.test('each annotation has its row, and each value in it is understood', async (t) => {
  const described = rows('| Annotation |')
  t.strictSame(described.map(([name]) => codes(name as string)[0]).sort(), [...DIRECTIVES].sort())
  for (const [name, values] of described) {
    const [annotation] = codes(name as string) as [string]
    for (const value of codes(values as string)) {
      t.strictSame(directivesOf({ [annotation]: value }, 'app').problems, [], `${annotation}: ${value}`)
    }
  }
  for (const foreign of ['fluentbit.io/exclude', 'vector.dev/exclude']) {
    t.ok(TEXT.includes(`\`${foreign}\``) && isDirective(foreign, true))
  }
  const [refused] = TEXT.match(/(?<=such as `)\^[^`]+/) as [string]
  t.match(directivesOf({ 'taffrail.dev/multiline': refused }, 'app').problems, [{ problem: /too large/ }])
  for (const parser of ['logfmt', 'nginx', 'regex']) {
    t.ok(TEXT.includes(`\`${parser}\``))
    t.equal(directivesOf({ 'taffrail.dev/parser': parser }, 'app').problems.length, 1, parser)
  }
})

t.test('each label has its row', async (t) => {
  const place = { namespace: 'ns', pod: 'web-0', podUid: 'u', container: 'c' }
  const info = { source: 's', sourceType: 'containers' as const, key: 'k', path: '/p', ...place }
  const labels = labelsOf(info, pathMetadata(info, 'node'), { clusterName: 'prod', labels: {} })
  const described = rows('| Label in Loki |').flatMap(([name]) => codes(name as string))
  t.strictSame(described.sort(), [...Object.keys(labels), 'stream', 'late'].sort())
  t.ok(TEXT.includes(APP_LABELS.map((name) => `\`${name}\``).join(', ')))
})
