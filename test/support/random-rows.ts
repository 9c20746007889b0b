// Random content of container logs, for properties: rows in pieces on two streams, rows of no format, times that
// collide and go back, bytes that are no characters, lines longer than blocks.
import fc from './properties.ts'

const TIMES = [
  '00.000000001Z',
  '00.000000001Z',
  '00.000000002Z',
  '01.5Z',
  '02Z',
  '00.999999999Z',
  '01+00:00',
  '59.12345Z',
]

export interface RandomRowsOptions {
  messageBytesMax: number
  /** Docker's rows: they must be whole in a block. */
  json?: boolean
}

/** One row with its newline. */
export function randomRow({ messageBytesMax, json = false }: RandomRowsOptions): fc.Arbitrary<Buffer> {
  const length = fc.oneof(
    { weight: 4, arbitrary: fc.nat(Math.min(40, messageBytesMax)) },
    { weight: 1, arbitrary: fc.nat(messageBytesMax) },
  )
  const unit = fc.constantFrom('a', 'b', ' ', 'ż', '日', '🐢', '\t', '\r', '\0')
  const valid = fc.tuple(fc.array(unit, { minLength: 1, maxLength: 5 }), length).map(([units, bytes]) => {
    const text = Buffer.from(units.join(''))
    return Buffer.alloc(bytes, text)
  })
  const any = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10)))
  const message = fc.oneof({ weight: 8, arbitrary: valid }, { weight: 1, arbitrary: any })
  const stream = fc.constantFrom('stdout', 'stdout', 'stderr')
  const tag = fc.constantFrom('F', 'F', 'F', 'P', 'P', 'F:x')
  const cri = fc
    .tuple(fc.constantFrom(...TIMES), stream, tag, message)
    .map(([time, name, tags, bytes]) =>
      Buffer.concat([Buffer.from(`2026-11-21T07:50:${time} ${name} ${tags} `), bytes, Buffer.from('\n')]),
    )
  const none = message.map((bytes) => Buffer.concat([Buffer.from('no format: '), bytes, Buffer.from('\n')]))
  const docker = fc
    .tuple(fc.constantFrom('00.1Z', '01.5Z'), stream, fc.boolean(), fc.string({ maxLength: 5 }))
    .map(([time, name, partial, text]) => {
      const log = partial ? text.replace(/\n+$/, '') : `${text}\n`
      return Buffer.from(`${JSON.stringify({ log, stream: name, time: `2026-11-21T07:50:${time}` })}\n`)
    })
  return fc.oneof(
    { weight: 12, arbitrary: cri },
    { weight: 1, arbitrary: none },
    { weight: 1, arbitrary: fc.constant(Buffer.from('\n')) },
    ...(json ? [{ weight: 2, arbitrary: docker }] : []),
  )
}

/** Rows after one with a time, so that no time of arrival is needed. */
export function randomRows(options: RandomRowsOptions & { rowsMax: number }): fc.Arbitrary<Buffer[]> {
  const first = Buffer.from('2026-11-21T07:50:00.000000001Z stdout F first\n')
  return fc.array(randomRow(options), { maxLength: options.rowsMax }).map((rows) => [first, ...rows])
}
