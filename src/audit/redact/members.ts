// What the name of a member says of its value: its class, whether it stands for the value of what its object is called, and
// what role it gives. A name is looked up once and then known by its bytes. Bound: 4096 names.
import { textOf } from '../json/strings.ts'
import type { Tape } from '../json/tape.ts'
import { KnownBytes } from '../known.ts'
import { classOfName } from './names.ts'
import {
  HAS_SECRET_DATA,
  INHERITED,
  IS_ANNOTATIONS,
  IS_ANY_BODY,
  IS_BASE64,
  IS_BINARY,
  IS_EVENT,
  IS_EXTRA,
  IS_METADATA_THAT_LOSES,
  IS_ROW_THAT_LOSES,
  IS_SECRET,
  IS_SECRET_OBJECT,
  IS_SIGNING,
  IS_TEXT,
  IS_WEBHOOK_PATCH,
  LISTS_THAT_LOSE,
  LOSES_MANAGED_FIELDS,
  ofSecret,
} from './roles.ts'

export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'
/** Annotations of events, from level Request on, with the JSON patch that a mutating webhook answered (patch.webhook.admission.k8s.io/round_0_index_2). */
export const WEBHOOK_PATCH = 'patch.webhook.admission.k8s.io/'

/** The event's annotations with what a ValidatingAdmissionPolicy said of the object, as its author has it say it. */
export const VALIDATION_FAILURE = 'validation.policy.admission.k8s.io/'
/** Annotations of the API server's own. All others come from webhooks and policies, with what they like. */
const OF_THE_SERVER = /(?:^|\.)(?:k8s|kubernetes)\.io\/[^/]*$/

/** Whether an annotation of an event is the API server's own, or of taffrail. */
export function isOfTheServer(name: string): boolean {
  return OF_THE_SERVER.test(name) || name.startsWith('taffrail/')
}

/** Members that hold the value of what their object is called, or what `name` or `key` beside them says. */
const VALUE_NAMES = new Set([
  'value',
  'val',
  'default',
  'defaultValue',
  'plain',
  'plaintext',
  'plainText',
  'inline',
  'inlineString',
  'inline_string',
  'inlineBytes',
  'inline_bytes',
  'literal',
  'raw',
])
/** Text for people. */
const PROSE_NAMES = new Set(['description', 'message', 'note'])

/** What a CertificateSigningRequest and its like ask with and get. */
const SIGNING_NAMES = new Set(['request', 'certificate', 'certificateChain', 'proofOfPossession', 'stubPKCS10Request'])
/** Objects of secrets by whatever name. */
const SECRET_OBJECTS = new Set(['secureJsonData', 'secretData', 'sensitiveData'])
/** All others whose value is more than its class says. */
const MEANING_NAMES = new Set([
  ...SIGNING_NAMES,
  LAST_APPLIED,
  'data',
  'stringData',
  'binaryData',
  'extra',
  'requestObject',
  'responseObject',
  'managedFields',
  'metadata',
  'items',
  'rows',
  'object',
  'args',
  'command',
  'error',
  ...SECRET_OBJECTS,
])
/** In these any name may be one. */
export const WHERE_NAMES_COUNT = IS_EVENT | IS_EXTRA | IS_BINARY | IS_SECRET_OBJECT | IS_ANNOTATIONS | IS_WEBHOOK_PATCH

/** A member's name, or a kind. */
export interface Name {
  text: string
  nameClass: number
  /** It says nothing of its value but by its class. */
  isPlain: boolean
  isValue: boolean
  isProse: boolean
}

const knownNames = new KnownBytes<Name>(12)

/** The event's own members that hold ids, names, addresses and times. */
export const EVENT_MEMBERS = new Set([
  'kind',
  'apiVersion',
  'auditID',
  'stage',
  'verb',
  'sourceIPs',
  'objectRef',
  'requestReceivedTimestamp',
  'stageTimestamp',
])

/** The name at a string of the tape. */
export function nameAt(tape: Tape, value: number): Name {
  const { buffer: b } = tape
  const start = tape.startOf(value)
  const end = tape.endOf(value)
  let name = knownNames.find(b, start, end)
  if (name === undefined) {
    const text = textOf(b, start, end)
    const nameClass = classOfName(text)
    const isValue = VALUE_NAMES.has(text)
    const isProse = PROSE_NAMES.has(text)
    name = { text, nameClass, isPlain: !isValue && !isProse && !MEANING_NAMES.has(text), isValue, isProse }
    knownNames.add(b, start, end, name)
  }
  return name
}

/** What the member of an object that is what `role` says is by its name. */
export function roleOfMember(named: Name, role: number, isString: boolean): number {
  const name = named.text
  let below = role & INHERITED
  if ((role & IS_SECRET_OBJECT) !== 0) below |= ofSecret(name)
  if ((role & HAS_SECRET_DATA) !== 0 && (name === 'data' || name === 'stringData')) {
    below |= name === 'data' ? IS_SECRET | IS_BASE64 : IS_SECRET
  } else if ((role & IS_SIGNING) !== 0 && SIGNING_NAMES.has(name)) {
    below |= IS_SECRET | IS_BASE64
  } else if ((role & IS_EXTRA) !== 0 && /^authentication\.kubernetes\.io\//i.test(name)) below |= IS_SECRET
  else if (name === 'extra') below |= IS_EXTRA
  else if (SECRET_OBJECTS.has(name)) below |= IS_SECRET
  else if (name === 'binaryData') below |= IS_BINARY
  else if (name === 'requestObject' || name === 'responseObject') below |= IS_ANY_BODY
  else if (named.isProse && isString) below |= IS_TEXT
  if ((role & IS_BINARY) !== 0) below |= IS_BINARY
  if ((role & LOSES_MANAGED_FIELDS) !== 0 && name === 'metadata') below |= IS_METADATA_THAT_LOSES
  if ((role & LISTS_THAT_LOSE) !== 0 && (name === 'items' || name === 'rows')) {
    below |= name === 'items' ? LOSES_MANAGED_FIELDS : IS_ROW_THAT_LOSES
  }
  if ((role & IS_ROW_THAT_LOSES) !== 0 && name === 'object') below |= LOSES_MANAGED_FIELDS
  return below
}
