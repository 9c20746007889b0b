// What of an audit event can be searched, as a tree: the template makes its mapping of it, and a document's encoder sees to it
// that no value is of another type than its field takes. The names are those of the dataset kubernetes.audit_logs, and of
// bodies there is what rules published for it ask for, as real fields: ES|QL and EQL know nothing of what is in a
// `flattened` field, and wildcards do not work there. Everything else is kept and not searched.

/** `flags` are words, not booleans: a string where one is expected costs nothing then, and true is true in a query. */
export type LeafField = 'keyword' | 'path' | 'text' | 'flag' | 'integer' | 'date' | 'ip' | 'flat' | 'kept'
export interface FieldTree {
  [name: string]: LeafField | FieldTree
}

const keywords = (names: string): FieldTree => Object.fromEntries(names.split(' ').map((name) => [name, 'keyword']))

const USER: FieldTree = { ...keywords('username uid groups'), extra: 'flat' }
const CONTAINER: FieldTree = {
  ...keywords('name image'),
  securityContext: {
    privileged: 'flag',
    allowPrivilegeEscalation: 'flag',
    capabilities: { add: 'keyword' },
  },
  volumeMounts: { mountPath: 'keyword' },
}
const BODY: FieldTree = {
  ...keywords('kind apiVersion type'),
  spec: {
    ...keywords('type serviceAccountName nodeName restartPolicy'),
    hostNetwork: 'flag',
    hostPID: 'flag',
    hostIPC: 'flag',
    containers: CONTAINER,
    initContainers: CONTAINER,
    ephemeralContainers: CONTAINER,
    volumes: { hostPath: { path: 'keyword' } },
  },
  rules: keywords('verbs resources apiGroups resourceNames nonResourceURLs'),
  roleRef: keywords('kind name'),
  subjects: keywords('kind name namespace'),
  webhooks: { name: 'keyword', clientConfig: { url: 'keyword', service: keywords('name namespace') } },
}

/** Of annotations those that Kubernetes documents; keys as the encoder writes them. */
const ANNOTATIONS = keywords(
  'authorization_k8s_io/decision authorization_k8s_io/reason authentication_k8s_io/legacy-token ' +
    'authentication_k8s_io/stale-token authentication_kubernetes_io/issued-credential-id ' +
    'pod-security_kubernetes_io/enforce-policy pod-security_kubernetes_io/exempt ' +
    'pod-security_kubernetes_io/audit-violations k8s_io/deprecated k8s_io/removed-release ' +
    'validation_policy_admission_k8s_io/validation_failure audit_k8s_io/truncated ' +
    'taffrail/original-bytes taffrail/original-sha256',
)

/** What stands under kubernetes.audit. */
export const AUDIT_FIELDS: FieldTree = {
  ...keywords('auditID kind apiVersion level stage verb'),
  requestURI: 'path',
  user: USER,
  impersonatedUser: USER,
  sourceIPs: 'ip',
  userAgent: 'path',
  objectRef: keywords('resource namespace name uid apiGroup apiVersion resourceVersion subresource'),
  responseStatus: { code: 'integer', ...keywords('status reason'), message: 'text', details: 'kept' },
  requestObject: BODY,
  responseObject: BODY,
  requestReceivedTimestamp: 'date',
  stageTimestamp: 'date',
  annotations: ANNOTATIONS,
}
