// How the house is kept: what every file in src owes its reader, and which file may do what.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../src/', import.meta.url))

const files = new Map(
  readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]),
)

/** The files of src that each imports, types included. */
const imports = new Map(
  [...files].map(([path, text]) => {
    const found = [...text.matchAll(/^(?:import|export)\b[^'"]*?['"](\.[^'"]+)['"]/gms)]
    return [path, found.map((match) => relative(ROOT, join(ROOT, dirname(path), match[1] as string)))]
  }),
)

/** The files with a text in their code; comments are left out. */
function filesWith(pattern: RegExp): string[] {
  return [...files].filter(([, text]) => pattern.test(withoutComments(text))).map(([path]) => path)
}

function withoutComments(text: string): string {
  return text.replace(/\/\*\*.*?\*\/|^\s*\/\/.*?$/gms, '')
}

/** A way from a file back to itself, or null. */
function circle(from: string): string[] | null {
  const ways: string[][] = [[from]]
  const seen = new Set<string>()
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    for (const next of imports.get(way.at(-1) as string) ?? []) {
      if (next === from) return [...way, next]
      if (!seen.has(next)) ways.push([...way, next])
      seen.add(next)
    }
  }
  return null
}

t.test('no file imports one that imports it', async (t) => {
  const circles = [...files.keys()].flatMap((path) => circle(path)?.join(' > ') ?? [])
  t.same(circles, [])
})

t.test('a file says first what it owns', async (t) => {
  const mute = [...files].filter(([, text]) => !/^(#!.*\n)?\/\/ \S/.test(text)).map(([path]) => path)
  t.same(mute, [])
})

t.test('one file ends the process', async (t) => {
  t.same(filesWith(/\bprocess\.(exit|abort|reallyExit)\b/), ['main.ts'])
})

t.test('time and chance come in through ports', async (t) => {
  const pattern =
    /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|(?<!\.)\bset(Timeout|Interval|Immediate)\(|\bperformance\.now\(/
  const rooms = filesWith(pattern).filter((path) => !/^(ports|demo|commands|observe\/page)\//.test(path))
  t.same(rooms, [])
})

t.test('core and parse do no I/O and know no other room', async (t) => {
  for (const [path, others] of imports) {
    const [room] = path.split('/')
    if (room !== 'core' && room !== 'parse') continue
    const foreign = others.filter(
      (other) => !/^(core|parse|ports)\//.test(other) || (room === 'core' && !/^(core|ports)\//.test(other)),
    )
    t.same(foreign, [], path)
    t.notMatch(files.get(path), /from 'node:(fs|net|http|https|child_process|worker_threads|dns|tls)/, path)
  }
})
