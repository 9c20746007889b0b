// As much of a browser as the page's script needs: a tree of elements made from the page's own HTML, a document, and
// polling by hand. What the script calls and is not here throws, so that the tests notice.
import { runInNewContext } from 'node:vm'
import { page } from '../../../src/observe/page/page.ts'

const voids = new Set(['meta', 'link', 'input'])

export class FakeElement {
  readonly tag: string
  parentNode: FakeElement | null = null
  readonly nodes: (FakeElement | string)[] = []
  readonly attributes = new Map<string, string>()
  readonly listeners = new Map<string, (event: unknown) => void>()
  readonly style: Record<string, string> = {}
  hidden = false
  value = ''
  /** What `matches(':hover, :focus-within')` says. */
  hovered = false

  constructor(tag: string) {
    this.tag = tag
  }
  get children(): FakeElement[] {
    return this.nodes.filter((node) => typeof node !== 'string')
  }
  get firstChild(): FakeElement | null {
    return this.children[0] ?? null
  }
  get lastChild(): FakeElement | null {
    return this.children.at(-1) ?? null
  }
  get nextSibling(): FakeElement | null {
    const siblings = this.parentNode!.children
    return siblings[siblings.indexOf(this) + 1] ?? null
  }
  get textContent(): string {
    return this.nodes.map((node) => (typeof node === 'string' ? node : node.textContent)).join('')
  }
  set textContent(text: string) {
    this.replaceChildren(text)
  }
  get dataset() {
    return { sort: this.attributes.get('data-sort') }
  }
  get classList() {
    const names = () => new Set((this.attributes.get('class') ?? '').split(' ').filter(Boolean))
    const put = (set: Set<string>) => this.attributes.set('class', [...set].join(' '))
    const without = (name: string) => new Set([...names()].filter((each) => each !== name))
    return {
      add: (name: string) => put(names().add(name)),
      remove: (name: string) => put(without(name)),
      toggle: (name: string, on: boolean) => put(on ? names().add(name) : without(name)),
      contains: (name: string) => names().has(name),
    }
  }
  append(...nodes: (FakeElement | string)[]) {
    for (const node of nodes) this.insertBefore(node, null)
  }
  appendChild(node: FakeElement) {
    this.append(node)
    return node
  }
  insertBefore(node: FakeElement | string, before: FakeElement | null) {
    if (typeof node !== 'string') {
      node.remove()
      node.parentNode = this
    }
    this.nodes.splice(before === null ? this.nodes.length : this.nodes.indexOf(before), 0, node)
  }
  replaceChildren(...nodes: (FakeElement | string)[]) {
    for (const child of this.children) child.remove()
    this.nodes.length = 0
    this.append(...nodes)
  }
  remove() {
    this.parentNode?.nodes.splice(this.parentNode.nodes.indexOf(this), 1)
    this.parentNode = null
  }
  setAttribute(name: string, value: unknown) {
    this.attributes.set(name, String(value))
  }
  getAttribute(name: string) {
    return this.attributes.get(name) ?? null
  }
  removeAttribute(name: string) {
    this.attributes.delete(name)
  }
  addEventListener(name: string, listener: (event: unknown) => void) {
    this.listeners.set(name, listener)
  }
  fire(name: string) {
    this.listeners.get(name)!({ target: this })
  }
  matches() {
    return this.hovered
  }
  /** Descendants by tags and ids, e.g. `#lineages thead th`. */
  querySelectorAll(selector: string): FakeElement[] {
    return selector
      .split(' ')
      .reduce<FakeElement[]>(
        (roots, part) =>
          roots
            .flatMap((root) => root.all())
            .filter((node) => (part.startsWith('#') ? node.attributes.get('id') === part.slice(1) : node.tag === part)),
        [this],
      )
  }
  all(): FakeElement[] {
    return this.children.flatMap((child) => [child, ...child.all()])
  }
}

function parse(html: string): FakeElement {
  const root = new FakeElement('document')
  let open = root
  const bare = html.replace(/<!doctype html>/, '').replace(/<(style|script)>[\s\S]*?<\/\1>/g, '')
  for (const [, close, tag, attributes, text] of bare.matchAll(/<(\/?)(\w+)([^>]*)>|([^<]+)/g)) {
    if (text !== undefined) {
      if (text.trim() !== '') open.append(text)
    } else if (close === '/') {
      if (open.tag !== tag) throw new Error(`</${tag}> closes <${open.tag}>`)
      open = open.parentNode!
    } else {
      const node = new FakeElement(tag!)
      for (const [, name, value] of attributes!.matchAll(/([\w-]+)(?:="([^"]*)")?/g))
        node.setAttribute(name!, value ?? '')
      node.hidden = node.attributes.has('hidden')
      open.append(node)
      if (!voids.has(tag!)) open = node
    }
  }
  if (open !== root) throw new Error(`<${open.tag}> is not closed`)
  return root
}

/**
 * Runs the page's script on the page.
 *
 * @param answer is what a fetch of `status` gives: an object, or an error to fail with.
 */
export function openPage(answer: () => unknown) {
  const root = parse(page.html)
  const listeners = new Map<string, () => void>()
  let timer: (() => unknown) | null = null
  let fetches = 0
  const byId = (id: string) => root.querySelectorAll(`#${id}`)[0]!
  const document = {
    title: '',
    hidden: false,
    body: root.querySelectorAll('body')[0]!,
    getElementById: byId,
    createElement: (tag: string) => new FakeElement(tag),
    createElementNS: (_: string, tag: string) => new FakeElement(tag),
    querySelectorAll: (selector: string) => root.querySelectorAll(selector),
    addEventListener: (name: string, run: () => void) => listeners.set(name, run),
  }
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
  const script = /<script>([\s\S]*)<\/script>/.exec(page.html)![1]!
  runInNewContext(script, {
    document,
    fetch: async (url: string) => {
      fetches++
      if (url !== 'status') throw new Error(`fetched ${url}`)
      const body = answer()
      if (body instanceof Error) throw body
      return { ok: true, json: async () => JSON.parse(JSON.stringify(body)) }
    },
    setTimeout: (run: () => unknown) => (timer = run),
    clearTimeout: () => (timer = null),
    AbortSignal: { timeout: () => undefined },
  })
  return {
    document,
    byId,
    root,
    settle,
    fetches: () => fetches,
    waits: () => timer !== null,
    /** Lets the next poll happen. */
    async poll() {
      timer?.()
      await settle()
    },
    /** Hides or shows the page. */
    async turn(hidden: boolean) {
      document.hidden = hidden
      listeners.get('visibilitychange')!()
      await settle()
    },
    rows: () => byId('rows').children.filter((row) => row.classList.contains('row')),
  }
}
