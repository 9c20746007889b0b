// Loki, Elasticsearch and standard output through the same cases.
import t from 'tap'
import { elasticConfig, lokiConfig, stdoutConfig, type World } from '../agent/world.ts'
import { type SinkRig, type Stored, sinkConformance } from './sink.conformance.ts'

const loki: SinkRig = {
  config: (over) => lokiConfig(over),
  stored: (world) =>
    world.loki
      .find()
      .flatMap(({ labels, entries }) =>
        entries.map(
          ({ line }): Stored => ({ pod: labels.pod ?? '', stream: labels.stream ?? '', text: line.toString() }),
        ),
      ),
  fail: (world) => {
    world.loki.fault = () => ({ kind: 'answer', status: 503, body: 'no healthy upstream' })
  },
  mend: (world) => {
    world.loki.fault = null
  },
  loseNextAnswer: (world) => {
    let left = 3
    world.loki.fault = () => (left-- > 0 ? { kind: 'reset', store: 'all' } : null)
  },
  refuse: (world, text) => {
    const reason = 'label name is empty'
    world.loki.fault = () => ({
      kind: 'poison',
      matches: ({ line }) => line.toString() === text,
      status: 500,
      body: reason,
    })
  },
  onMoment: (world, run) => {
    world.loki.onMoment = run
  },
}

const elasticsearch: SinkRig = {
  config: (over) => elasticConfig(over),
  stored: (world) =>
    world.elastic.documents.map(({ source }) => {
      const { kubernetes, stream, message } = source as {
        kubernetes: { pod: { name: string } }
        stream: string
        message: string
      }
      return { pod: kubernetes.pod.name, stream, text: message }
    }),
  fail: (world) => {
    world.elastic.fault = () => ({ kind: 'answer', status: 503 })
  },
  mend: (world) => {
    world.elastic.fault = null
  },
  loseNextAnswer: (world) => {
    let left = 3
    world.elastic.fault = () => (left-- > 0 ? { kind: 'reset', store: true } : null)
  },
  refuse: (world, text) => {
    const error = { status: 400, type: 'mapper_parsing_exception', reason: 'failed to parse' }
    world.elastic.refuse = ({ source }) => (source.message === text ? error : null)
  },
  onMoment: (world, run) => {
    world.elastic.onMoment = run
  },
}

const stdout: SinkRig = {
  config: () => stdoutConfig({ format: 'json' }),
  stored: (world: World) =>
    Buffer.from(world.output.text, 'latin1')
      .toString()
      .split('\n')
      .slice(0, -1)
      .map((row) => {
        const { labels, line } = JSON.parse(row) as { labels: Record<string, string>; line: string }
        return { pod: labels.pod ?? '', stream: labels.stream ?? '', text: line }
      }),
  fail: (world) => {
    world.output.failure = new Error('the descriptor takes nothing')
  },
  mend: (world) => {
    world.output.failure = null
  },
  loseNextAnswer: null,
  refuse: null,
  onMoment: null,
}

sinkConformance(t, 'loki', loki)
sinkConformance(t, 'elasticsearch', elasticsearch)
sinkConformance(t, 'stdout', stdout)
