// Plants a bug: as a module of src/ is loaded, one piece of its text is replaced by another. Production code knows
// nothing of it. Imported first (`node --import`), it takes the bug's name from the environment. A piece that is not there
// exactly once is an error: a bug that is not planted must not be taken for one that was not found.
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { PLANTED_BUGS } from './planted-bugs.ts'

const name = process.env.SIM_BUG
if (name !== undefined && name !== '') plant(name)

function plant(name: string): void {
  const bug = PLANTED_BUGS[name]
  if (bug === undefined) throw new Error(`no such bug: ${name}`)
  const texts = new Map<string, string>()
  for (const { file, from, to } of bug.changes) {
    const url = new URL(`../../src/${file}`, import.meta.url)
    const text = texts.get(url.href) ?? readFileSync(url, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`${name}: ${file} does not have exactly once: ${from}`)
    texts.set(
      url.href,
      text.replace(from, () => to),
    )
  }
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context)
      const text = texts.get(url)
      return text === undefined ? loaded : { ...loaded, source: text }
    },
  })
}
