// Makes docs/configuration.md from the schema, so that the page cannot say anything else than the program does:
//   node src/config/document.ts > docs/configuration.md
import { schema } from './schema.ts'
import type { AnyKey, AnyShape, RecordShape, VariantsShape } from './shapes.ts'
import { variantOf } from './shapes.ts'

/** The example at the top of the page. A test loads it. */
export const EXAMPLE = `clusterName: prod-1
nodeName: \${NODE_NAME}                      # from the environment, see below
stateDir: /var/lib/taffrail                 # checkpoints and dead letters

sources:
  - name: containers                        # every container of the node
    type: containers
    exclude: ["/var/log/containers/*_kube-system_*.log"]
  - name: app                               # and an application that writes files
    type: files
    paths: ["/logs/**/*.log"]

sinks:
  - name: loki
    type: loki
    url: https://loki.example.com/tenant-gw
    tenant: apps
    auth:
      basic: {username: taffrail, passwordFile: /etc/taffrail/loki/password}
    tls: {caFile: /etc/taffrail/loki/ca.crt}
    labels: {environment: production}

limits: {memory: 96Mi, cpu: 500m}
server: {listen: "0.0.0.0:9095"}            # /metrics /healthz /ready /status and the page at /
`

const MINIMAL = `sources:
  - {name: containers, type: containers}
sinks:
  - {name: loki, type: loki, url: "http://loki:3100"}
`

const VALUES = `## Values

- **Quantities** are bytes as Kubernetes writes them: \`Ki\`, \`Mi\`, \`Gi\` (powers of 1024), \`k\`, \`M\`, \`G\` (powers of 1000),
  or none; decimals are allowed: \`96Mi\`, \`3.5Mi\`, \`1048576\`.
- **CPU** is in cores or thousandths of one: \`500m\`, \`0.5\`, \`2\`.
- **Durations** have a unit: \`250ms\`, \`5s\`, \`1m30s\`, \`168h\`, \`7d\`.
- **Environment.** \`\${NAME}\` in a value is replaced from the environment, \`\${NAME:-default}\` with the default where the
  variable is unset or empty; \`$\${\` stands for \`\${\` itself. A variable that is not set is an error. Only values are
  replaced, never keys, and what comes in is never read as YAML. Within \`{ }\` and \`[ ]\` a reference needs quotes: \`{nodeName: "\${NODE_NAME}"}\`.
- **Secrets** are better kept in files: \`passwordFile\` and \`tokenFile\` are read again when they change. A secret appears
  in no message, no log and no page.
- **Off.** Where a key may be \`off\`, \`false\` means the same, since YAML of the older kind reads \`off\` so.
`

/** The reference page as Markdown. */
export function documentConfig(): string {
  const { sources, sinks } = schema.keys
  return `<!-- Made from src/config/schema.ts by: node src/config/document.ts > docs/configuration.md -->

# Configuration

One YAML file (JSON will do as well) says what is read and where it goes:

${fenced(EXAMPLE, 'yaml')}
Everything but sources and sinks has a default. The shortest useful file is

${fenced(MINIMAL, 'yaml')}
\`taffrail check --config FILE\` prints a configuration with every default filled in and secrets hidden, or everything that
is wrong with it, by line and column. A key that does not exist is an error, not a remark:

${fenced('taffrail.yaml:12:5: sinks[0].batchByteMax: unknown key; did you mean batchBytesMax?\n', 'text')}
${VALUES}
## Top level

${table(rowsOf(schema.keys, ''))}
## Sources

Each item of \`sources\` has these keys. Every source must be taken by at least one sink, and no two have one name.

${variantTables(sources!)}
## Sinks

Each item of \`sinks\` has these keys. No two sinks have one name.

${variantTables(sinks!)}`.trimEnd()
}

function variantTables({ shape }: AnyKey): string {
  const variants = (shape as { of: VariantsShape }).of
  const types = Object.keys(variants.variants)
  const records = types.map((type) => variantOf(variants, type)!)
  const everywhere = Object.keys(records[0]!.keys).filter((name) => records.every((record) => name in record.keys))
  let text = table(everywhere.flatMap((name) => commonRows(name, types, records)))
  for (const [index, type] of types.entries()) {
    const own = Object.entries(records[index]!.keys).filter(([name]) => !everywhere.includes(name))
    if (own.length > 0) text += `\n### ${type}\n\n${table(rowsOf(Object.fromEntries(own), ''))}`
  }
  return text
}

/** The rows of a key that all variants have, with the defaults by type where they differ. */
function commonRows(name: string, types: string[], records: RecordShape[]): Row[] {
  const [row, ...below] = rowsOf({ [name]: records[0]!.keys[name]! }, '')
  const defaults = records.map((record) => defaultText(record.keys[name]!))
  const differ = new Set(defaults).size > 1
  const byType = types.map((type, index) => `${defaults[index]} for \`${type}\``).join(', ')
  return [{ ...row!, default: differ ? byType : row!.default }, ...below]
}

interface Row {
  key: string
  type: string
  default: string
  doc: string
}

/** A row for each key, and after it those of the mapping that it holds. */
function rowsOf(keys: Readonly<Record<string, AnyKey>>, prefix: string): Row[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const path = prefix + name
    const row = { key: `\`${path}\``, type: typeText(key.shape), default: defaultText(key), doc: key.doc }
    if (key.shape.kind === 'list' && key.shape.of.kind === 'record') {
      return [row, ...rowsOf(key.shape.of.keys, `${path}[].`)]
    }
    if (key.shape.kind !== 'record') return [row]
    return [{ ...row, doc: [row.doc, ...groupTexts(key.shape)].join(' ') }, ...rowsOf(key.shape.keys, `${path}.`)]
  })
}

function groupTexts(record: RecordShape): string[] {
  const names = (group: readonly string[]) => group.map((name) => `\`${name}\``).join(' and ')
  return [
    ...record.exactlyOne.map((group) => `Exactly one of ${names(group)}.`),
    ...record.together.map((group) => `${names(group)} only together.`),
  ]
}

function typeText(shape: AnyShape): string {
  switch (shape.kind) {
    case 'scalar':
      return shape.expected.replace(/^(?:an?|the) /, '')
    case 'list':
      return `list of ${shape.noun}`
    case 'map':
      return `mapping of ${shape.noun}`
    case 'record':
      return ['mapping', ...(shape.words ?? []), ...(shape.orOff ? ['off'] : [])].join(', or ')
    case 'variants':
      return 'mapping'
  }
}

function defaultText({ default: fallback }: AnyKey): string {
  switch (fallback.kind) {
    case 'required':
      return '**required**'
    case 'yaml':
      return fallback.yaml === '{}' ? '' : `\`${fallback.yaml}\``
    case 'machine':
    case 'none':
      return fallback.says
  }
}

function table(rows: Row[]): string {
  const lines = rows.map((row) => `| ${[row.key, row.type, row.default, row.doc].map(cell).join(' | ')} |\n`)
  return `| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n${lines.join('')}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function fenced(text: string, language: string): string {
  return `\`\`\`${language}\n${text}\`\`\`\n`
}

if (import.meta.main) process.stdout.write(`${documentConfig()}\n`)
