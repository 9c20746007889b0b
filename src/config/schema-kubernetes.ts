// The keys of `kubernetes`, as data (schema.ts): what is asked of the API server, what pods may ask for by annotations, and
// which of their labels go on.
import type { Config } from './config.ts'
import * as format from './formats.ts'
import { boolean, duration } from './scalars.ts'
import { key, list, REQUIRED, record, yaml } from './shapes.ts'

const allowList = (what: string, fallback: string) =>
  key<string[]>(
    list(format.labelGlob(), 'names', 0),
    yaml(fallback),
    `${what} that sinks which store documents get; \`*\` stands for anything. Loki gets what it names.`,
  )

/** `kubernetes`. */
export const kubernetes = record<Config['kubernetes']>({
  metadata: key<Config['kubernetes']['metadata']>(
    {
      ...record({
        kubeconfig: key(format.file(), REQUIRED, 'Asks the API server of the current context of this kubeconfig.'),
      }),
      words: ['auto', 'off'],
    },
    yaml('auto'),
    "`auto`: pods are watched with the service account of the agent's own pod; where there is none, as on a laptop, it is `off`. `off`: what is known of a pod is what its file name says (namespace, pod, container).",
  ),
  metadataWait: key(
    duration('0ms', '5m'),
    yaml('5s'),
    "How long a new container's lines wait in their file until their pod is known. Then they go out with what the path tells, marked `metadata=path`.",
  ),
  annotations: key<Config['kubernetes']['annotations']>(
    record({
      honour: key(
        boolean(),
        yaml('true'),
        'Pods may direct their own lines: `taffrail.dev/exclude: "true"` leaves them out, `taffrail.dev/rate-limit: "100"` drops what is more than so many in a second; `taffrail.dev/multiline` makes records of several lines (`java`, `python`, `go`, `none`, or a pattern that begins with `^` and with which the first line of each record begins; ASCII, without look-around and back references); `taffrail.dev/parser: json` or `none` says whether sinks that store documents take lines for JSON objects (`cri`: as the sink is told); each also for one container (`taffrail.dev/exclude.CONTAINER`).',
      ),
      foreign: key(
        boolean(),
        yaml('false'),
        '`fluentbit.io/exclude` and `vector.dev/exclude` count like `taffrail.dev/exclude`.',
      ),
      exemptNamespaces: key<string[]>(
        list(format.nameGlob(), 'namespaces', 0),
        yaml('[]'),
        'Namespaces whose pods cannot make lines disappear; `*` stands for anything.',
      ),
      tenants: key<Config['kubernetes']['annotations']['tenants']>(
        list(
          record<Config['kubernetes']['annotations']['tenants'][number]>({
            tenant: key(
              format.tenant(),
              REQUIRED,
              'A tenant of Loki that pods may name by `taffrail.dev/tenant`. Never that of a sink that takes an audit source.',
            ),
            namespaces: key<string[]>(
              list(format.nameGlob(), 'namespaces', 1),
              REQUIRED,
              'Whose pods may; `*` stands for anything.',
            ),
          }),
          'tenants',
          0,
        ),
        yaml('[]'),
        'Where the lines of a pod may go instead of to the tenant of the sink, if its annotation `taffrail.dev/tenant` (or `taffrail.dev/tenant.CONTAINER`) says so. What is not listed here is ignored, and told.',
      ),
    }),
    yaml('{}'),
    'What pods may ask for by annotations. What is left out so is counted: skipped under the rule `annotation`, dropped for the reason `rateLimit`.',
  ),
  podLabels: allowList('Labels of the pod', '["*"]'),
  podAnnotations: allowList('Annotations of the pod', '[]'),
  namespaceLabels: allowList('Labels of the namespace', '[]'),
})
