// The configuration file as data: every key with its kind, its default and what it does. load.ts reads files by it,
// describe.ts and docs/configuration.md are made from it. The order of the keys is that of the page. Here is the whole file;
// the keys of sources, sinks and kubernetes are in files of their own.
import type { Config } from './config.ts'
import * as format from './formats.ts'
import { formatCores, formatQuantity } from './quantity.ts'
import { checkWhole } from './rules.ts'
import { cores, orOff, quantity, text } from './scalars.ts'
import { kubernetes } from './schema-kubernetes.ts'
import { sink } from './schema-sinks.ts'
import { source } from './schema-sources.ts'
import { key, list, REQUIRED, record, yaml } from './shapes.ts'

const MEMORY_DEFAULT = '96Mi'

const limits = record<Config['limits']>({
  memory: key(
    quantity('48Mi'),
    {
      kind: 'machine',
      says: `the cgroup's memory limit, else ${MEMORY_DEFAULT}`,
      text: ({ cgroup: { memory } }) =>
        memory === null
          ? { text: MEMORY_DEFAULT, from: 'the default: the cgroup has no limit' }
          : { text: formatQuantity(memory.value), from: memory.file },
    },
    "Memory that the process may use. Its buffers, and V8's own limits, follow from it.",
  ),
  cpu: key(
    orOff(cores('10m', '256')),
    {
      kind: 'machine',
      says: "the cgroup's CPU limit, else off",
      text: ({ cgroup: { cpu } }) =>
        cpu === null
          ? { text: 'off', from: 'the cgroup has no limit' }
          : { text: formatCores(Math.max(10, cpu.value)), from: cpu.file },
    },
    'CPU time that the process keeps to by itself, over all of its threads. It paces its work, so that the kernel has no reason to stop it in the middle of a request; files that are closest to losing data are served first.',
  ),
})

const server = record(
  {
    listen: key(
      format.listen(),
      yaml('0.0.0.0:9095'),
      'Where `/metrics`, `/healthz`, `/ready`, `/status` and the page at `/` are served. An IPv6 address stands in brackets: `"[::]:9095"`.',
    ),
  },
  { orOff: true },
)

/** The whole file. */
export const schema = record<Config>(
  {
    clusterName: key(text('a string that is not empty'), yaml('kubernetes'), 'The value of the label `cluster`.'),
    nodeName: key(
      text('a string that is not empty'),
      {
        kind: 'machine',
        says: '`NODE_NAME` from the environment, else the host name',
        text: ({ env, hostname }) =>
          env.NODE_NAME ? { text: env.NODE_NAME, from: 'NODE_NAME' } : { text: hostname, from: 'the host name' },
      },
      'The value of the label `node_name`.',
    ),
    stateDir: key(
      format.absolutePath(),
      yaml('/var/lib/taffrail'),
      'The directory for checkpoints and dead letters. It must outlive the agent: a hostPath in Kubernetes.',
    ),
    kubernetes: key(kubernetes, yaml('{}'), 'What is asked of the API server.'),
    sources: key(list(source, 'sources', 1), REQUIRED, 'What is read.'),
    sinks: key(
      list(sink, 'sinks', 1),
      REQUIRED,
      'Where it goes. Each sink has its own cursor in every file and waits for no other.',
    ),
    limits: key(limits, yaml('{}'), 'What the process may use.'),
    server: key<Config['server']>(server, yaml('{}'), 'The status server; `off` for none.'),
  },
  { check: checkWhole },
)
