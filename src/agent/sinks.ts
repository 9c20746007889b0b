// Which program a sink of the configuration is: the only place that knows all kinds of them.
import type { SinkConfig } from '../config/config.ts'
import { ElasticsearchSink } from '../sinks/elasticsearch/elasticsearch.ts'
import { LokiSink } from '../sinks/loki/loki.ts'
import type { RowsAtOnce } from '../sinks/loki/rows.ts'
import type { Sink } from '../sinks/sink.ts'
import { StdoutSink } from '../sinks/stdout/stdout.ts'
import type { AgentPorts } from './ports.ts'

/** The sink that a configuration speaks of. `rowsAtOnce`: with the block that its lines are read into. */
export function createSink(
  config: SinkConfig,
  clusterName: string,
  ports: Pick<AgentPorts, 'clock' | 'random' | 'events' | 'deadLetters' | 'createHttpClient' | 'output'>,
  rowsAtOnce: RowsAtOnce | null = null,
): Sink {
  const { clock, random, events, deadLetters, createHttpClient, output } = ports
  const context = { clusterName }
  if (config.type === 'stdout') return new StdoutSink(config, { output, clock, events, context })
  if (config.type === 'elasticsearch') {
    return new ElasticsearchSink(config, { clock, random, events, deadLetters, createHttpClient, context })
  }
  return new LokiSink(config, { clock, random, events, deadLetters, createHttpClient, context, rowsAtOnce })
}
