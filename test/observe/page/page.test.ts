import { createHash } from 'node:crypto'
import t from 'tap'
import { page } from '../../../src/observe/page/page.ts'
import { darkColours, lightColours } from '../../../src/observe/page/style.ts'

const part = (tag: string) => new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(page.html)![1]!

t.test('the policy allows the one script, the one style and the own origin', async (t) => {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  const rules = new Map(
    page.contentSecurityPolicy.split('; ').map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1)]),
  )
  t.same(rules.get('default-src'), ["'none'"])
  t.same(rules.get('script-src'), [hash(part('script'))])
  t.same(rules.get('style-src'), [hash(part('style'))])
  t.same(rules.get('connect-src'), ["'self'"])
  t.same(rules.get('frame-ancestors'), ["'none'"])
  t.equal(page.html.match(/<script/g)!.length, 1)
  t.equal(page.html.match(/<style/g)!.length, 1)
})

t.test('nothing comes from elsewhere and no text becomes markup', async (t) => {
  const text = page.html.replace('http://www.w3.org/2000/svg', '')
  t.notMatch(text, /https?:|\/\/[a-z]+\.|@import|url\(/i)
  t.notMatch(page.html, / style="| on\w+="/)
  t.notMatch(part('script'), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser/)
})

t.test('text can be told from its ground in both schemes', async (t) => {
  const channel = (value: number) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  const luminance = (colour: string) => {
    const [r, g, b] = [1, 3, 5].map((at) => channel(Number.parseInt(colour.slice(at, at + 2), 16) / 255))
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
  }
  const contrast = (a: string, b: string) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y)
    return (high! + 0.05) / (low! + 0.05)
  }
  for (const [scheme, colours] of Object.entries({ light: lightColours, dark: darkColours })) {
    const pairs = [
      ['text', 'ground'],
      ['text', 'card'],
      ['text', 'waitGround'],
      ['text', 'badGround'],
      ['text', 'track'],
      ['quiet', 'ground'],
      ['quiet', 'card'],
      ['link', 'card'],
      ['bad', 'card'],
      ['good', 'goodGround'],
      ['wait', 'waitGround'],
      ['bad', 'badGround'],
    ] as const
    for (const [front, back] of pairs) {
      t.ok(contrast(colours[front], colours[back]) >= 4.5, `${scheme} ${front} on ${back}`)
    }
    for (const kind of ['acked', 'flight', 'skipped', 'dropped', 'dead', 'lost'] as const) {
      t.ok(
        contrast(colours[kind], colours.card) >= 3,
        `${scheme} ${kind} on card ${contrast(colours[kind], colours.card)}`,
      )
    }
  }
})
