import { appendFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { fixture, fixtureLines } from '../audit/fixtures.ts'
import { event, lines, rows, run } from '../audit/view/rig.ts'

const FIXTURES = new URL('../fixtures/audit/', import.meta.url).pathname
const RECOMMENDED = `${FIXTURES}recommended.log.gz`
const EVERYTHING = `${FIXTURES}everything.log.gz`

// biome-ignore lint/suspicious/noExplicitAny: events as they were captured
type Captured = any

function captured(name: string): Captured[] {
  return fixtureLines(name).map((line) => JSON.parse(line))
}

function jsonLines(text: string): Captured[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

/** The events that one row a request is made of, found by another way: all at once. */
function requests(name: string): Captured[] {
  const events = captured(name).filter((each) => each.stage !== 'RequestReceived')
  const ended = new Set(events.filter((each) => each.stage !== 'ResponseStarted').map((each) => each.auditID))
  return events.filter((each) => each.stage !== 'ResponseStarted' || !ended.has(each.auditID))
}

test('one row a request: who, from where, what, with what result', async (t) => {
  const { code, stdout, stderr } = await run([RECOMMENDED, '--resource', 'pods/exec', '--code', '101'])
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.same(rows(stdout), [
    {
      TIME: '2026-11-21T07:49:59.853Z',
      USER: 'kubernetes-admin',
      SOURCE: '127.0.0.1',
      VERB: 'get',
      RESOURCE: 'pods/exec',
      OBJECT: 'shop-b/bare',
      RESULT: '101',
      LATENCY: '5.0ms',
      DETAIL: "$ sh -c 'cat /etc/shadow'",
    },
  ])
  for (const name of ['recommended.log.gz', 'everything.log.gz']) {
    const all = rows((await run([FIXTURES + name])).stdout)
    t.equal(all.length, requests(name).length)
    t.ok(all.some((row) => row.USER === 'kubernetes-admin as alice'))
    t.ok(all.some((row) => row.USER === '(nobody)' && row.RESULT === '401 Unauthorized'))
  }
})

test('every filter gives what looking at all events gives', async (t) => {
  const cases: [string[], (each: Captured) => boolean][] = [
    [['--user', 'mallory'], (e) => e.user.username === 'mallory'],
    [['--user', 'alice'], (e) => e.user.username === 'alice' || e.impersonatedUser?.username === 'alice'],
    [['--user', '!system:*'], (e) => !e.user.username?.startsWith('system:')],
    [['--user', '*:deployer'], (e) => [e.user, e.impersonatedUser].some((u) => u?.username?.endsWith(':deployer'))],
    [
      ['--user', 'alice,mallory', '--user', 'bob'],
      (e) => /alice|mallory|bob/.test(`${e.user.username} ${e.impersonatedUser?.username}`),
    ],
    [['--verb', 'delete*'], (e) => e.verb.startsWith('delete')],
    [['--verb', 'patch', '--verb', 'update'], (e) => /^(patch|update)$/.test(e.verb)],
    [['--resource', 'pods'], (e) => e.objectRef?.resource === 'pods' && !e.objectRef.subresource],
    [['--resource', 'pods*'], (e) => /^pods/.test(e.objectRef?.resource)],
    [['--resource', '*/status'], (e) => e.objectRef?.subresource === 'status'],
    [['--resource', 'deploy'], (e) => e.objectRef?.resource === 'deployments' && !e.objectRef.subresource],
    [
      ['--resource', 'deployments.apps/scale'],
      (e) => e.objectRef?.subresource === 'scale' && e.objectRef.apiGroup === 'apps',
    ],
    [['--resource', 'secrets,configmaps'], (e) => /^(secrets|configmaps)$/.test(e.objectRef?.resource)],
    [
      ['--resource', '!*/*,!secrets'],
      (e) => (e.objectRef ? !e.objectRef.subresource && e.objectRef.resource !== 'secrets' : false),
    ],
    [['--resource', '/metrics'], (e) => e.requestURI.split('?')[0] === '/metrics'],
    [['--namespace', 'shop-?'], (e) => /^shop-.$/.test(e.objectRef?.namespace)],
    [['--name', 'web'], (e) => e.objectRef?.name === 'web'],
    [['--code', '403'], (e) => e.responseStatus.code === 403],
    [['--code', '4xx,500'], (e) => /^(4..|500)$/.test(e.responseStatus.code)],
    [['--code', '!2xx'], (e) => !/^2/.test(e.responseStatus.code)],
    [['--since', '2026-11-21T07:49:00Z'], (e) => e.stageTimestamp >= '2026-11-21T07:49:00'],
    [['--until', '2026-11-21T07:48:12.422467'], (e) => e.stageTimestamp < '2026-11-21T07:48:12.422467'],
    [
      ['--since', '2026-11-21 07:48', '--until', '2026-11-21T09:49:00+02:00'],
      (e) => e.stageTimestamp >= '2026-11-21T07:48' && e.stageTimestamp < '2026-11-21T07:49',
    ],
    [
      ['--user', 'mallory', '--resource', 'secrets', '--verb', 'get', '--namespace', 'payments-a'],
      (e) =>
        e.user.username === 'mallory' &&
        e.verb === 'get' &&
        e.objectRef?.resource === 'secrets' &&
        e.objectRef.namespace === 'payments-a',
    ],
  ]
  const all = requests('recommended.log.gz')
  for (const [args, accepts] of cases) {
    const expected = all.filter(accepts)
    const { stdout } = await run([RECOMMENDED, ...args, '-o', 'json'])
    const ids = jsonLines(stdout).map((each) => each.auditID)
    t.ok(expected.length > 0, `${args.join(' ')}: the log has some`)
    t.same(ids.sort(), expected.map((each) => each.auditID).sort(), args.join(' '))
  }
  const stages = await run([EVERYTHING, '--stage', 'requestreceived,ResponseStarted', '-o', 'json'])
  t.equal(
    jsonLines(stages.stdout).length,
    captured('everything.log.gz').filter((e) => /Received|Started/.test(e.stage)).length,
  )
})

test('summaries count what rows would be shown', async (t) => {
  const all = requests('recommended.log.gz')
  const byUser = new Map<string, number>()
  for (const { user, impersonatedUser } of all) {
    const who = `${user.username ?? '(nobody)'}${impersonatedUser ? ` as ${impersonatedUser.username}` : ''}`
    byUser.set(who, (byUser.get(who) ?? 0) + 1)
  }
  const top = await run([RECOMMENDED, '--top', 'users', '--limit', '100', '-o', 'json'])
  t.same(Object.fromEntries(jsonLines(top.stdout).map((each) => [each.user, each.count])), Object.fromEntries(byUser))
  const counts = jsonLines(top.stdout).map((each) => each.count)
  t.same(
    counts,
    counts.toSorted((a, b) => b - a),
  )
  const table = await run([RECOMMENDED, '--top', 'users', '--limit', '2'])
  t.match(table.stdout, /^COUNT +USER +FIRST +LAST\n/)
  t.match(table.stdout, `\n${all.length} requests, 2 of ${byUser.size} groups\n`)
  const denied = jsonLines((await run([RECOMMENDED, '--top', 'denied', '-o', 'json'])).stdout)
  const refused = all.filter((e) => /^40[13]$/.test(e.responseStatus.code))
  t.equal(
    denied.reduce((sum, each) => sum + each.count, 0),
    refused.length,
  )
  const byTwo = await run([RECOMMENDED, '--count-by', 'verb,code', '-o', 'json'])
  const patched = jsonLines(byTwo.stdout).find((each) => each.verb === 'patch' && each.code === '200')
  t.equal(patched.count, all.filter((e) => e.verb === 'patch' && e.responseStatus.code === 200).length)
})

test('so many within a time are found over the edge of a minute, and in any order', async (t) => {
  const at = (second: number, user: string) =>
    event({
      user: { username: user },
      stageTimestamp: `2026-11-21T07:${48 + Math.floor(second / 60)}:${String(second % 60).padStart(2, '0')}.000000Z`,
    })
  const log = [55, 58, 57, 62, 61]
    .map((second) => at(second, 'quick'))
    .concat([1, 62, 130, 200].map((s) => at(s, 'slow')))
  const args = ['--count-by', 'user', '--within', '10s', '--at-least', '3', '-o', 'json']
  const { stdout } = await run(args, { stdin: [Buffer.from(lines(...log))] })
  t.match(jsonLines(stdout), [{ user: 'quick', count: 5, peak: 5, first: '2026-11-21T07:48:55.000000Z' }])
  t.equal(jsonLines(stdout).length, 1)
})

test('nothing that a client sent reaches the terminal as it is', async (t) => {
  const evil = '\x1b]0;x\x07\x1b[2J\u202eevil\u009b31m\r\n\x7f'
  const bad = event({
    auditID: evil,
    userAgent: evil,
    verb: evil,
    user: { username: evil, groups: [evil], extra: { k: [evil] } },
    impersonatedUser: { username: evil },
    sourceIPs: [evil, evil],
    requestURI: `/api/${evil}?command=${encodeURIComponent(evil)}`,
    objectRef: { resource: evil, subresource: 'exec', namespace: evil, name: evil, apiGroup: evil },
    responseStatus: { code: 403, reason: evil, message: evil },
    requestObject: { [evil]: evil },
    responseObject: { [evil]: [evil] },
    annotations: { [evil]: evil, 'authorization.k8s.io/reason': evil },
    stage: evil,
    level: evil,
  })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
  const raw = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/
  const stdin = [Buffer.from(lines(bad, `${evil.replaceAll('\n', '')}`))]
  for (const args of [[], ['-o', 'wide'], ['-o', 'json'], ['--count-by', 'user,agent,name,reason'], ['--id', evil]]) {
    for (const more of args[0] === '--id' ? [[], ['-o', 'json']] : [[]]) {
      const { stdout, stderr } = await run([...args, ...more], { stdin })
      t.match(stdout, /evil/, args.join(' ').slice(0, 12))
      t.notMatch(stdout + stderr, raw, args.join(' ').slice(0, 12))
    }
  }
  const { stdout } = await run(['-o', 'json'], { stdin })
  t.same(JSON.parse(stdout).objectRef, bad.objectRef)
  t.notMatch((await run(['--id', `no${evil}`], { stdin })).stderr, raw)
  t.notMatch((await run([`/nothing${evil}`])).stderr, raw)
})

test('colour only on a terminal, and as one says', async (t) => {
  const stdin = [Buffer.from(lines(event({ responseStatus: { code: 403 } })))]
  const colored = async (args: string[], options: object) =>
    (await run(args, { stdin, ...options })).stdout.includes('\x1b[31m403')
  t.equal(await colored([], {}), false)
  t.equal(await colored([], { isTerminal: true }), true)
  t.equal(await colored([], { isTerminal: true, env: { NO_COLOR: '1' } }), false)
  t.equal(await colored([], { isTerminal: true, env: { TERM: 'dumb' } }), false)
  t.equal(await colored(['--color', 'never'], { isTerminal: true }), false)
  t.equal(await colored(['--color', 'always'], { env: { NO_COLOR: '1' } }), true)
})

test('a start is told only where no end is', async (t) => {
  const of = (auditID: string, stage: string, code: number, more: object = {}) =>
    event({ auditID, stage, responseStatus: { code }, ...more })
  const log = lines(
    of('ended', 'ResponseStarted', 200),
    of('open', 'ResponseStarted', 101),
    of('failed later', 'ResponseStarted', 200),
    of('nobody', 'ResponseStarted', 401, { user: {} }),
    of('ended', 'ResponseComplete', 200),
    of('failed later', 'ResponseComplete', 504),
    of('received', 'RequestReceived', 0),
    of('broken', 'Panic', 500),
    // Another request with the id of one that is open does not end it.
    of('open', 'ResponseComplete', 200, {
      requestURI: '/api/v1/pods',
      requestReceivedTimestamp: '2026-11-21T08:00:00Z',
    }),
  )
  const ids = async (...args: string[]) =>
    jsonLines((await run([...args, '-o', 'json'], { stdin: [Buffer.from(log)] })).stdout).map(
      (each) => `${each.auditID} ${each.stage}`,
    )
  t.same(await ids(), [
    'nobody ResponseStarted',
    'ended ResponseComplete',
    'failed later ResponseComplete',
    'broken Panic',
    'open ResponseComplete',
    'open ResponseStarted',
  ])
  t.same(await ids('--code', '200'), ['ended ResponseComplete', 'open ResponseComplete'])
  t.same(await ids('--code', '2xx'), ['ended ResponseComplete', 'open ResponseComplete'])
  t.same(await ids('--stage', 'ResponseStarted', '--code', '2xx'), [
    'ended ResponseStarted',
    'failed later ResponseStarted',
  ])
  t.match((await run([], { stdin: [Buffer.from(log)] })).stdout, /101 open/)
})

test('rotated and compressed siblings come first, the oldest before; nothing is read twice', async (t) => {
  const named = (name: string) => lines(event({ objectRef: { resource: 'pods', name } }))
  const dir = t.testdir({
    'audit-2026-11-21T07-50-00.129.log': named('second'),
    'audit-2026-11-21T07-51-00.129.log': named('third'),
    'audit.log': named('live'),
    'other.log': named('other'),
    'audit-other-2026-11-21T07-51-00.129.log': named('other'),
  })
  const live = join(dir, 'audit.log')
  writeFileSync(join(dir, 'audit-2026-11-21T07-48-00.129.log.gz'), gzipSync(named('first')))
  // Being compressed: both are there, one of them in part.
  writeFileSync(join(dir, 'audit-2026-11-21T07-51-00.129.log.gz'), gzipSync(named('third')).subarray(0, 30))
  const names = async (args: string[], stdin?: Buffer[]) => {
    const ran = await run([...args, '--count-by', 'name', '-o', 'json'], stdin === undefined ? {} : { stdin })
    const order = await run([...args, '-o', 'json'], stdin === undefined ? {} : { stdin })
    t.equal(
      jsonLines(ran.stdout).reduce((sum, each) => sum + each.count, 0),
      jsonLines(order.stdout).length,
    )
    return {
      ...ran,
      names: jsonLines(order.stdout)
        .map((each) => each.objectRef.name)
        .join(' '),
    }
  }
  t.match(await names([live]), { code: 0, stderr: '', names: /^first second third live$/ })
  symlinkSync(live, join(dir, 'link.log'))
  const twice = [join(dir, 'audit-2026-11-21T07-50-00.129.log'), live, live, join(dir, 'link.log')]
  t.match(await names(twice), { code: 0, names: /^second first third live$/ })
  t.match(await names(['-'], [gzipSync(named('piped'))]), { code: 0, names: /^piped$/ })
  t.match(await names(['-', join(dir, 'other.log')], [Buffer.from(named('piped'))]), { names: /^piped other$/ })
  const torn = join(dir, 'audit-2026-11-21T07-51-00.129.log.gz')
  t.match(await names([torn]), { code: 1, stderr: /51-00\.129\.log\.gz: unexpected end of file/ })
  t.match(await names([join(dir, 'nothing.log'), join(dir, 'other.log')]), {
    code: 1,
    stderr: /nothing\.log: there is no such file/,
    names: /^other$/,
  })
  t.match(await run([dir]), { code: 1, stderr: /is a directory/ })
})

test('numbered siblings: the highest number is the oldest', async (t) => {
  const named = (name: string) => lines(event({ objectRef: { resource: 'pods', name } }))
  const dir = t.testdir({ 'a.log.2': named('first'), 'a.log.1': named('second'), 'a.log': named('live') })
  const { stdout } = await run([join(dir, 'a.log'), '-o', 'json'])
  t.same(
    jsonLines(stdout).map((each) => each.objectRef.name),
    ['first', 'second', 'live'],
  )
})

test('a log is followed over rotation, several at once, compression, a cut, and lines that come in pieces', async (t) => {
  const named = (name: string, more: object = {}) => lines(event({ objectRef: { resource: 'pods', name }, ...more }))
  const dir = t.testdir({ 'audit.log': named('a'), 'audit-2026-11-21T07-40-00.000.log': named('old') })
  const live = join(dir, 'audit.log')
  const rotated = (minute: number) => join(dir, `audit-2026-11-21T07-${minute}-00.000.log`)
  const seen: string[] = []
  const shown = (stdout: string) =>
    void seen.push(
      jsonLines(stdout)
        .map((each) => each.objectRef.name)
        .join(' '),
    )
  const half = named('b')
  const { code, stderr } = await run([live, '--follow', '-o', 'json'], {
    steps: [
      () => appendFileSync(live, half.slice(0, 100)),
      (stdout) => {
        shown(stdout)
        appendFileSync(live, half.slice(100))
        renameSync(live, rotated(41)) // the new file is not there yet
      },
      () => writeFileSync(live, named('c')),
      (stdout) => {
        shown(stdout)
        appendFileSync(live, named('d'))
        renameSync(live, rotated(42))
        writeFileSync(live, named('e'))
        renameSync(live, rotated(43))
        writeFileSync(live, named('f'))
      },
      (stdout) => {
        shown(stdout)
        appendFileSync(live, named('g'))
        writeFileSync(`${rotated(44)}.gz`, gzipSync(named('f') + named('g')))
        unlinkSync(live)
        writeFileSync(live, named('h'))
      },
      (stdout) => {
        shown(stdout)
        writeFileSync(live, 'x') // cut, and not to an event
        writeFileSync(live, '')
      },
      () =>
        appendFileSync(live, named('i', { auditID: 'open', stage: 'ResponseStarted', responseStatus: { code: 101 } })),
      (stdout) => shown(stdout),
      () => {},
      (stdout) => {
        shown(stdout)
        appendFileSync(live, 'torn')
      },
    ],
  })
  t.same(seen, [
    'old a',
    'old a b c',
    'old a b c d e f',
    'old a b c d e f g h',
    'old a b c d e f g h',
    'old a b c d e f g h i',
  ])
  t.equal(code, 1, 'it was cut')
  t.match(stderr, /was cut from \d+ bytes to 0/)
  t.match(stderr, /1 line is no audit event, or is torn/)
})

test('torn and foreign lines stop nothing and are told', async (t) => {
  const whole = lines(event())
  const log = `${whole}${whole.slice(0, 90)}\nfoo\n\n{"kind":"Event","apiVersion":"audit.k8s.io/v1","x":[1,}\n${whole}${whole.slice(0, -3)}`
  for (const args of [[], ['--name', 'web'], ['--name', 'nothing']]) {
    const { code, stderr, stdout } = await run(args, { stdin: [Buffer.from(log)] })
    t.match({ code, stderr }, { code: 0, stderr: 'taffrail audit: 4 lines are no audit events, or are torn\n' })
    t.equal(stdout === '' ? 0 : rows(stdout).length, args[1] === 'nothing' ? 0 : 2)
  }
})

test('one request in full: stages, bodies, and what it changed since it was last told', async (t) => {
  const patches = captured('everything.log.gz').filter(
    (e) => e.verb === 'patch' && e.objectRef.resource === 'deployments' && !e.objectRef.subresource && e.responseObject,
  )
  const patch = patches.find((e) => JSON.stringify(e.requestObject).includes('"restarted"'))
  const { stdout, code } = await run(['--id', patch.auditID, EVERYTHING])
  t.equal(code, 0)
  t.match(stdout, /request {6}patch deployments\.apps shop-c\/web\n/)
  t.match(
    stdout,
    /stage +2026-11-21T07:51:26\.608775Z RequestReceived\n +stage +2026-11-21T07:51:26\.616109Z ResponseComplete 200 after 7\.3ms\n/,
  )
  t.match(
    stdout,
    /changed since 2026-11-21T07:51:26\.607Z \(get by kubernetes-admin\)\n +\+ spec\.template\.metadata\.annotations\.restarted: "1"\n/,
  )
  t.match(stdout, /request body\n/)
  const piped = await run(['--id', patch.auditID], { stdin: [fixture('everything.log.gz')] })
  t.match(piped.stdout, /what the patch sets\n +\+? ?= spec\.template\.metadata\.annotations\.restarted: "1"\n/)
  t.match(await run(['--id', 'no-such-id', EVERYTHING]), { code: 1, stderr: /no event has the id no-such-id/ })
})

test('an update is compared with the object before it; a change of a secret shows, the secret does not', async (t) => {
  const secret = (value: string, more: object) =>
    event({
      level: 'RequestResponse',
      requestURI: '/api/v1/namespaces/shop/secrets/db',
      objectRef: { resource: 'secrets', namespace: 'shop', name: 'db' },
      responseObject: { kind: 'Secret', metadata: { name: 'db' }, data: { a: btoa(value), b: btoa('same-for-ever') } },
      ...more,
    })
  const log = lines(
    secret('hunter2-first', { auditID: 'one', verb: 'create', stageTimestamp: '2026-11-21T07:00:00Z' }),
    secret('hunter2-second', { auditID: 'two', verb: 'update', stageTimestamp: '2026-11-21T07:01:00Z' }),
    secret('hunter2-third', { auditID: 'three', verb: 'update', stageTimestamp: '2026-11-21T07:02:00Z' }),
  )
  const path = join(t.testdir({ 'a.log': log }), 'a.log')
  const { stdout } = await run(['--id', 'two', path])
  t.match(
    stdout,
    /changed since 2026-11-21T07:00:00\.000Z \(create by alice\)\n {4}~ data\.a: "\[redacted:\w+\]" -> "\[redacted:\w+\]"\n {2}response body/,
  )
  for (const args of [[], ['-o', 'json'], ['-o', 'wide'], ['--id', 'two', '-o', 'json']]) {
    const shown = (await run([...args, path])).stdout
    t.notMatch(shown, /hunter2/)
    t.notOk(shown.includes(btoa('hunter2-second')), args.join(' '))
  }
})

test('names that the server gave, addresses that a header claims', async (t) => {
  const made = event({
    verb: 'create',
    sourceIPs: ['203.0.113.9', '10.0.0.7'],
    objectRef: { resource: 'pods', namespace: 'shop' },
    responseObject: { kind: 'Pod', metadata: { name: 'web-x7k2p' } },
  })
  const stdin = [Buffer.from(lines(made))]
  t.match(rows((await run([], { stdin })).stdout), [{ OBJECT: 'shop/web-x7k2p', SOURCE: '10.0.0.7 for 203.0.113.9' }])
  t.equal(rows((await run(['--name', 'web-x7k2p'], { stdin })).stdout).length, 1)
})

test('bad usage is told, with what was meant', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /no log is named/],
    [['--nothing', 'a.log'], /--nothing/],
    [['--top', 'user', 'a.log'], /--top user: did you mean users\?/],
    [['--count-by', 'vreb', 'a.log'], /did you mean verb\?/],
    [['--code', '4x', 'a.log'], /--code 4x: a code is like 403, 4xx or !200/],
    [['--stage', 'done', 'a.log'], /--stage done: one of RequestReceived/],
    [['--since', 'noon', 'a.log'], /--since noon: a time is like/],
    [['--since', '2026-13-01', 'a.log'], /a time is like/],
    [['--within', '1', '--top', 'users', 'a.log'], /a duration is like/],
    [['--limit', '0', '--top', 'users', 'a.log'], /--limit 0/],
    [['--limit', '5', 'a.log'], /are for --top and --count-by/],
    [['--color', 'yes', 'a.log'], /one of auto, always, never/],
    [['-o', 'yaml', 'a.log'], /--output yaml/],
    [['--id', 'x', '-f', 'a.log'], /goes with neither/],
    [['-f', '-'], /followed to its end anyway/],
    [['--sinc', '2h', 'a.log'], /^taffrail audit: there is no option --sinc; did you mean --since\?\n.*--help/],
    [['-z', 'a.log'], /^taffrail audit: there is no option -z\n/],
  ]
  for (const [args, message] of cases)
    t.match(await run(args), { code: 2, stderr: message, stdout: '' }, args.join(' '))
  t.match(await run(['--help']), { code: 0, stdout: /Usage: taffrail audit/ })
})

test('durations count back from now', async (t) => {
  const stdin = [Buffer.from(lines(event(), event({ stageTimestamp: '2026-11-21T09:00:00Z' })))]
  const nowMs = Date.parse('2026-11-21T09:30:00Z')
  const count = async (...args: string[]) => rows((await run(args, { stdin, nowMs })).stdout).length
  t.equal(await count('--since', '1h'), 1)
  t.equal(await count('--since', '2h'), 2)
  t.equal(await count('--since', '2h', '--until', '1h'), 1)
})

test('where nothing matches that is said, beside an output that is empty', async (t) => {
  const none = { code: 0, stdout: '', stderr: 'taffrail audit: no request matches\n' }
  t.strictSame(await run([RECOMMENDED, '--user', 'nobody']), none)
})
