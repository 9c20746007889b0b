// The keys of an event and the texts that make it one, as numbers of 32 bits, so that they are compared a word at a time.

/** A text of four letters or more as words, the last of which may overlap the one before. */
interface Words {
  length: number
  words: Int32Array
}

function wordsOf(text: string): Words {
  const bytes = Buffer.from(text)
  const words = new Int32Array(Math.ceil(bytes.length / 4))
  for (let i = 0; i < words.length; i++) words[i] = bytes.readInt32LE(Math.min(4 * i, bytes.length - 4))
  return { length: bytes.length, words }
}

/** Whether the text stands at `at`; their lengths are known to be equal. */
export function is(view: DataView, at: number, { words, length }: Words): boolean {
  const last = words.length - 1
  for (let i = 0; i < last; i++) if (view.getInt32(at + 4 * i, true) !== words[i]) return false
  return view.getInt32(at + length - 4, true) === words[last]
}

/** The first four letters of a key as a word. */
function wordOf(letters: string): number {
  return Buffer.from(letters).readInt32LE(0)
}

export const EVENT = wordsOf('Event')
export const VERSION = wordsOf('audit.k8s.io/v1')
export const API_VERSION = wordsOf('apiVersion')
export const AUDIT_ID_KEY = wordsOf('auditID')
export const REQUEST_URI_KEY = wordsOf('requestURI')
export const STAGE_TIMESTAMP = wordsOf('stageTimestamp')
export const RESPONSE_STATUS_KEY = wordsOf('responseStatus')
export const RECEIVED_TIMESTAMP = wordsOf('requestReceivedTimestamp')
export const RESPONSE_OBJECT_KEY = wordsOf('responseObject')
export const REQUEST_OBJECT_KEY = wordsOf('requestObject')
export const ANNOTATIONS_KEY = wordsOf('annotations')
export const OBJECT_REF = wordsOf('objectRef')
export const USERNAME_KEY = wordsOf('username')
export const RESOURCE_KEY = wordsOf('resource')
export const NAMESPACE_KEY = wordsOf('namespace')
export const NAME_KEY = wordsOf('name')
export const API_GROUP_KEY = wordsOf('apiGroup')
export const SUBRESOURCE_KEY = wordsOf('subresource')
export const USER_AGENT = wordsOf('userAgent')
export const SOURCE_IPS = wordsOf('sourceIPs')
export const CODE = wordsOf('code')

export const word_resp = wordOf('resp')
export const word_requ = wordOf('requ')
export const word_user = wordOf('user')
export const word_obje = wordOf('obje')
export const word_sour = wordOf('sour')
export const word_anno = wordOf('anno')
export const word_verb = wordOf('verb')
export const word_kind = wordOf('kind')
export const word_stag = wordOf('stag')
export const word_leve = wordOf('leve')
export const word_audi = wordOf('audi')
export const word_apiV = wordOf('apiV')
