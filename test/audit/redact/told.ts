// Places where somebody tells of a value: messages of the API server, annotations of the event, scripts, markup.
import type { Places, Request } from './request.ts'

const SECRETS = '/api/v1/namespaces/shop/secrets'
const VALIDATION_FAILURE = 'validation.policy.admission.k8s.io/validation_failure'

/** What the type says is secret: whatever stands there. */
export const TOLD_BY_TYPE: Places = {
  'message that quotes a value': (s) => {
    const message = `Pod "x" is invalid: spec.containers[0].env[0].value: Invalid value: "${s}": must be short`
    const status = {
      kind: 'Status',
      status: 'Failure',
      code: 422,
      message,
      details: { causes: [{ field: 'spec.containers[0].env[0].value', message: `spec.env: Invalid value: "${s}"` }] },
    }
    return { uri: '/api/v1/namespaces/a/pods', verb: 'create', response: status, status }
  },
  'message of a refused secret': (s, draw) => {
    const message = draw([
      `Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 4, error found in #10 byte of ...|word":"${s}"}|..., bigger context ...|{"data":{"word":"${s}"}}|...`,
      `admission webhook "w" denied the request: the value "${s}" is weak`,
      `Secret "x" is invalid: type: Unsupported value: "${s}"`,
      `strict decoding error: unknown field "${s}"`,
    ])
    return { uri: SECRETS, verb: 'create', status: { code: 400, message }, response: { kind: 'Status', message } }
  },
  'message that quotes a body': (s) => {
    const body = JSON.stringify({ stringData: { a: s } })
    const message = `the object provided is unrecognized (must be of type Secret): Object 'Kind' is missing in '${body}' (${Buffer.from(body).toString('hex')})`
    return { uri: SECRETS, verb: 'create', status: { code: 400, message }, response: { kind: 'Status', message } }
  },
  'cause that names its field': (s, draw) => {
    const field = draw(['spec.containers[0].env[0].value', 'spec.template.spec.containers[1].args[0]'])
    const message = `Invalid value: "${s}": must be short`
    const cause = draw([
      { reason: 'FieldValueInvalid', message, field },
      { field, message },
    ])
    return refused('/api/v1/namespaces/a/pods', 'Pod "x" is invalid', { causes: [cause] })
  },
  'value that may not be changed': (s, draw) => {
    const variable = `core.EnvVar{Name:"A", Value:"${s}", ValueFrom:(*core.EnvVarSource)(nil)}`
    return refused(
      '/apis/batch/v1/namespaces/a/jobs',
      draw([
        `Job.batch "x" is invalid: spec.template: Invalid value: core.PodTemplateSpec{Spec:core.PodSpec{Containers:[]core.Container{core.Container{Env:[]core.EnvVar{${variable}}}}}}: field is immutable`,
        `Pod "x" is invalid: spec: Forbidden: pod updates may not change fields other than \`spec.tolerations\`\n  core.PodSpec{\n  \t... // 9 fields\n- \tEnv: []core.EnvVar{${variable}},\n  }\n`,
      ]),
    )
  },
  'token that a review could not use': (s) => ({
    uri: '/apis/authentication.k8s.io/v1/tokenreviews',
    verb: 'create',
    response: { kind: 'TokenReview', status: { error: `[invalid bearer token, token '${s}' is unknown]` } },
  }),
  'quotation of a policy about a secret': (s, draw) => ({
    uri: SECRETS,
    verb: 'create',
    annotations: failure(`the value ${draw([`"${s}"`, `'${s}'`, `\`${s}\``])} is too weak`),
  }),
  'annotation of a webhook that is called like a credential': (s, draw) => ({
    uri: '/api/v1/namespaces/a/pods',
    verb: 'create',
    annotations: { [draw(['policy/db-password', 'w.example.com/apiToken'])]: s },
  }),
  'script in a config map': (s, draw) =>
    script(
      draw([
        `#!/bin/sh\nmysql -u root -p${s} < dump.sql\n`,
        `curl -fsS -u admin:${s} https://x/y\n`,
        `redis-cli -h db -a ${s} ping\n`,
        `sshpass -p ${s} ssh x\n`,
        `CREATE USER me WITH PASSWORD '${s}';\n`,
        `user admin insecure-password ${s}\n`,
        `me:${s}@tcp(db:3306)/shop`,
        `env:\n- name: DB_PASSWORD\n  value: ${s}\n`,
        `env:\n- value: "${s}"\n  name: DB_PASSWORD\n`,
        `define('DB_PASSWORD', '${s}');`,
        `source.setPassword("${s}")`,
        `db.auth("me", "${s}")`,
        `ConvertTo-SecureString "${s}" -AsPlainText`,
      ]),
    ),
  'markup in a config map': (s, draw) =>
    script(
      draw([
        `<property name="connection.password" value="${s}"/>`,
        `<property name="hibernate.connection.password">${s}</property>`,
        `<property>\n  <name>fs.s3a.secret.key</name>\n  <value>${s}</value>\n</property>`,
        `proxy_set_header X-Auth-Token "${s}";`,
      ]),
    ),
  'settings of a data source': (s, draw) => ({
    uri: '/apis/grafana.integreatly.org/v1beta1/namespaces/a/grafanadatasources',
    verb: 'create',
    request: {
      kind: 'GrafanaDatasource',
      spec: { datasource: { [draw(['secureJsonData', 'secretData'])]: { httpHeaderValue1: s } } },
    },
  }),
  'value beside what names it': (s, draw) => ({
    uri: '/apis/example.com/v1/namespaces/a/things',
    verb: 'create',
    request: {
      kind: 'Thing',
      spec: { settings: [{ [draw(['id', 'property', 'param'])]: 'smtp.password', value: s }] },
    },
  }),
  'exec that sets a password': (s, draw) => {
    const command = draw([
      ['rabbitmqctl', 'add_user', 'shop', s],
      ['redis-cli', 'AUTH', s],
      ['grafana-cli', 'admin', 'reset-admin-password', s],
      ['sh', '-c', `echo ${s} > /run/secrets/db-password`],
      ['sh', '-c', `echo ${s} | tee /run/token`],
    ])
    const query = command.map((argument) => `command=${encodeURIComponent(argument)}`).join('&')
    return { uri: `/api/v1/namespaces/a/pods/b/exec?${query}`, verb: 'get' }
  },
  'inline secret of a proxy': (s, draw) => ({
    uri: '/apis/networking.istio.io/v1alpha3/namespaces/a/envoyfilters',
    verb: 'create',
    request: { kind: 'EnvoyFilter', spec: { token_secret: { [draw(['inline_string', 'inlineBytes'])]: s } } },
  }),
  'key in a bundle of certificates': (s) => {
    const pem = `-----BEGIN CERTIFICATE-----\n${'QUJD'.repeat(80)}\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n${s}\n-----END PRIVATE KEY-----\n`
    return {
      uri: '/apis/apiregistration.k8s.io/v1/apiservices',
      verb: 'create',
      request: { kind: 'APIService', spec: { caBundle: Buffer.from(pem).toString('base64') } },
    }
  },
}

/** Where anything may stand. */
export const TOLD_BY_LOOK: Places = {
  'quotation in a message': (s) => {
    const message = `Widget "x" is invalid: spec.setting: Invalid value: "${s}": must be short`
    return { uri: '/apis/x.io/v1/widgets', verb: 'create', status: { code: 422, message } }
  },
  'message of a policy': (s) => ({
    uri: '/api/v1/namespaces/a/pods',
    verb: 'create',
    annotations: failure(`the value "${s}" is too long`),
  }),
  'words of a policy about a secret': (s) => ({
    uri: SECRETS,
    verb: 'create',
    annotations: failure(`the value ${s} is too weak`),
  }),
  'annotation of a webhook about a secret': (s, draw) => ({
    uri: SECRETS,
    verb: 'create',
    annotations: { 'w.example.com/seen': draw([s, `data.a=${s}`]) },
  }),
  'words of a webhook about a secret': (s) =>
    refused(SECRETS, `admission webhook "w.x" denied the request: the value ${s} is weak`),
}

function refused(uri: string, message: string, details?: object): Request {
  const status = { kind: 'Status', status: 'Failure', code: 422, message, ...(details && { details }) }
  return { uri, verb: 'create', response: status, status }
}

/** As the API server tells what a ValidatingAdmissionPolicy with the action Audit found. */
function failure(message: string): Record<string, string> {
  const found = [{ message, policy: 'p', binding: 'b', expressionIndex: 1, validationActions: ['Audit'] }]
  return { [VALIDATION_FAILURE]: JSON.stringify(found) }
}

function script(text: string): Request {
  const request = { kind: 'ConfigMap', data: { other: 'x', file: text } }
  return { uri: '/api/v1/namespaces/shop/configmaps', verb: 'create', request }
}
