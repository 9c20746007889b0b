// `taffrail stream`: what its arguments are taken for, and what is wrong with others.
import t from 'tap'
import { stream } from '../../src/commands/stream.ts'
import { parseStream, streamConfig } from '../../src/commands/stream-options.ts'

const FULL = [
  '--format',
  'json',
  '--multiline',
  'java',
  '--from',
  'end',
  '--state-dir',
  'state',
  'a.log',
  '/logs/*.log',
]

t.test('the configuration that the arguments stand for', async (t) => {
  const options = parseStream(FULL)
  if (!('paths' in options)) throw new Error(JSON.stringify(options))
  const config = streamConfig(options, 1000, 500)
  const cwd = process.cwd()
  t.match(config, {
    stateDir: `${cwd}/state`,
    kubernetes: { metadata: 'off' },
    sources: [
      {
        type: 'files',
        paths: [`${cwd}/a.log`, '/logs/*.log'],
        startAt: 'end',
        startAgeMax: null,
        multiline: { preset: 'java' },
      },
    ],
    sinks: [{ type: 'stdout', format: 'json', prefix: '' }],
    limits: { memory: 1000, cpu: 500 },
    server: null,
  })
  const least = parseStream(['a.log'])
  t.match(least, {
    format: 'plain',
    prefix: '',
    multiline: null,
    from: 'beginning',
    stateDir: null,
    level: 'warn',
  })
  t.match(parseStream(['--multiline-start', '^x', 'a']), { multiline: { start: '^x' } })
  t.match(parseStream(['--prefix', '{file}: ', '--', '-a.log']), { prefix: '{file}: ', paths: [`${cwd}/-a.log`] })
})

const problems: Record<string, [string[], RegExp]> = {
  'no file': [[], /FILE is missing/],
  'an empty file': [[''], /a FILE is empty/],
  'standard input': [['-'], /-: standard input cannot be followed/],
  'a directory': [['/tmp'], /\/tmp: is a directory; name files in it, such as '\/tmp\/\*\.log'/],
  'a directory that is not there yet': [['/none/logs/'], /'\/none\/logs\/\*\.log'/],
  'a NUL': [['a\0b'], /"a\\u0000b": is no path/],
  'an unknown option': [['--prefxi', 'a'], /there is no option --prefxi; did you mean --prefix\?/],
  'an option without its value': [['a', '--prefix'], /--prefix/],
  'an unknown format': [['--format', 'xml', 'a'], /--format xml: must be one of plain, json/],
  'a prefix with json': [['--format', 'json', '--prefix', 'x', 'a'], /--prefix: only with --format plain/],
  'a prefix of two lines': [['--prefix', 'x\ny', 'a'], /--prefix: .*line breaks/],
  'a prefix without end': [['--prefix', 'x'.repeat(2000), 'a'], /--prefix: longer than 1000/],
  'an unknown preset': [['--multiline', 'perl', 'a'], /--multiline perl: must be one of java, python, go/],
  'two ways of making records': [['--multiline', 'go', '--multiline-start', 'x', 'a'], /one of them at most/],
  'a pattern that is none': [['--multiline-start', '(', 'a'], /--multiline-start: .*\(/],
  'an empty pattern': [['--multiline-start', '', 'a'], /--multiline-start: an empty pattern/],
  'an unknown place': [['--from', 'middle', 'a'], /--from middle: must be one of beginning, end/],
  'a state directory without a name': [['--state-dir', '', 'a'], /--state-dir: must be a directory/],
  'an unknown level': [['--log-level', 'loud', 'a'], /--log-level loud: must be one of debug/],
}

for (const [what, [args, message]] of Object.entries(problems)) {
  t.test(what, async (t) => {
    const told = { out: '', err: '' }
    const io = {
      stdout: (text: string) => void (told.out += text),
      stderr: (text: string) => void (told.err += text),
    }
    t.equal(await stream(args, io), 2)
    t.match(told.err, message)
    t.match(told.err, /^taffrail stream: .*\n\nUsage: taffrail stream /s)
    t.equal(told.out, '')
  })
}
