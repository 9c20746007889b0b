// Which lines belong together: real traces of three languages, and what a record is bounded by.
import t from 'tap'
import { newEntry } from '../../src/core/entry.ts'
import { LineGroup } from '../../src/parse/line-group.ts'
import { JOINS, type MultilineConfig, multilineRule, PLAIN } from '../../src/parse/multiline.ts'

/** The records of some lines, as the number of lines of each. */
function records(config: MultilineConfig, text: string): number[] {
  const rule = multilineRule(config)
  const counts: number[] = []
  let state = PLAIN
  for (const line of text.split('\n')) {
    const answer = rule(state, line)
    const joins = (answer & JOINS) !== 0 && counts.length > 0
    if (joins) counts.push((counts.pop() as number) + 1)
    else counts.push(1)
    state = (joins ? answer : rule(PLAIN, line)) & ~JOINS
  }
  return counts
}

t.test('java', async (t) => {
  const text = `2026-11-21 08:00:00 INFO started
2026-11-21 08:00:01 ERROR request failed
java.lang.IllegalStateException: no session
\tat com.example.Shop.buy(Shop.java:12)
\tat com.example.Main.main(Main.java:3)
Caused by: java.io.IOException: closed
\tat com.example.Net.read(Net.java:7)
\t... 2 more
2026-11-21 08:00:02 INFO next`
  t.strictSame(records({ preset: 'java' }, text), [1, 7, 1])
})

t.test('python', async (t) => {
  const text = `INFO started
ERROR:root:failed
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
ValueError: no

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 4, in <module>
KeyError: 'x'
INFO next`
  t.strictSame(records({ preset: 'python' }, text), [1, 11, 1])
})

t.test('go', async (t) => {
  const text = `2026/11/21 08:00:00 started
panic: runtime error: index out of range [3] with length 2

goroutine 1 [running]:
main.f(...)
\t/src/main.go:8
main.main()
\t/src/main.go:4 +0x1d
exit status 2
2026/11/21 08:00:01 started`
  t.strictSame(records({ preset: 'go' }, text), [1, 8, 1])
})

t.test('a pattern that first lines begin with', async (t) => {
  t.strictSame(records({ start: '^\\d{4}-' }, '2026-11 a\n b\nc\n2026-12 d'), [3, 1])
  t.throws(() => multilineRule({ start: '(' }), { name: 'SyntaxError' })
})

t.test('a record that begins in the middle of a trace is the same when it is read from there', async (t) => {
  const afterCut = (isFirst: boolean) => {
    const group = new LineGroup(multilineRule({ preset: 'python' }))
    const take = (how: 'open' | 'join', text: string) => {
      const entry = {
        ...newEntry(),
        buffer: Buffer.from(text),
        messageStart: 0,
        messageEnd: text.length,
        sourceLines: 1,
      }
      if (how === 'open') return group.open(entry, text, 1, 0)
      return group.join(entry, text, 1, 0, 100_000)
    }
    if (!isFirst) {
      take('open', 'Traceback (most recent call last):')
      group.close()
    }
    take('open', '  File "a.py", line 1, in <module>')
    return take('join', '    f()')
  }
  t.equal(afterCut(false), afterCut(true))
})

t.test('a line of brackets in a goroutine costs what another line costs', async (t) => {
  const go = multilineRule({ preset: 'go' })
  const goroutine = go(PLAIN, 'goroutine 1 [running]:') & ~JOINS
  const line = `x${'('.repeat(1000)}`
  const before = process.cpuUsage()
  let joined = 0
  for (let i = 0; i < 10_000; i++) joined += go(goroutine, line) & JOINS
  const { user } = process.cpuUsage(before)
  t.equal(joined, 0)
  t.ok(user < 2_000_000, `${user} µs`)
  for (const call of ['main.f(0x1)', 'main.(*T).f(...)', 'x((', ')((a)', '((x)']) {
    t.equal((go(goroutine, call) & JOINS) === JOINS, call.endsWith(')'), call)
  }
})
