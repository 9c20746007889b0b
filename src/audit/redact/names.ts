// Which names say that what they name is a credential: env variables, keys of data, fields of custom resources, flags,
// query parameters. A name that ends in what only refers to one (secretName, tokenPath) says the opposite. Pure.

const CREDENTIAL_WORDS = new Set([
  'password',
  'passwords',
  'passwd',
  'passphrase',
  'passcode',
  'pwd',
  'pw',
  'pass',
  'pgpass',
  'secret',
  'secrets',
  'token',
  'tokens',
  'apikey',
  'apikeys',
  'apitoken',
  'accesskey',
  'secretkey',
  'privatekey',
  'credential',
  'credentials',
  'creds',
  'cred',
  'auth',
  'authorization',
  'authtoken',
  'bearer',
  'jwt',
  'cookie',
  'cookies',
  'dsn',
  'kubeconfig',
  'dockerconfigjson',
  'dockercfg',
  'htpasswd',
  'netrc',
  'otp',
  'pin',
  'psk',
  'presharedkey',
  'mnemonic',
  'salt',
  'pat',
  'masterauth',
  'restuserkey',
  'userlist',
])
/** Words that make a key of the word after them. */
const KEY_KINDS = new Set([
  'api',
  'access',
  'private',
  'secret',
  'signing',
  'encryption',
  'license',
  'master',
  'account',
  'shared',
  'ssh',
  'tls',
  'auth',
  'service',
  'storage',
  'session',
  'application',
  'app',
  'backup',
  'ca',
  'cipher',
  'client',
  'consumer',
  'crypto',
  'deploy',
  'enc',
  'hmac',
  'aes',
  'rsa',
  'gpg',
  'pgp',
  'jwt',
  'recovery',
  'root',
  'secure',
  'server',
  'unseal',
  'vault',
  'wireguard',
])
const CONNECTION_KINDS = new Set(['connection', 'conn'])
/** The last word of a name that is about a credential and holds none. */
const HARMLESS_LAST = new Set(
  (
    'name names namespace namespaces ref refs reference references path paths file files filename dir directory type types kind ' +
    'seconds minutes ttl expiration expiry expires audience audiences algorithm alg version count size length min max enabled ' +
    'enable required disabled policy policies selector class provider mount volume volumes issuer endpoint endpoints method ' +
    'mode rotation renewal timestamp time at status phase reason hash digest checksum optional lifetime duration interval url uri ' +
    'host port id ids uid scheme review reviews request requests response prefix format template templates generation'
  ).split(' '),
)
/** Keys of values that look random and are public. */
const PUBLIC =
  /^(?:caBundle|ca\.crt|certificate-authority-data|uid|.*(?:[Hh]ash|[Dd]igest|[Cc]hecksum|[Ff]ingerprint|[Ss][Hh][Aa](?:1|256|512)?|md5|[Uu][Ii][Dd]|UUID|[Cc]ommit|COMMIT|[Rr]evision|REVISION)|checksum[./].*|machineID|bootID|image|imageID|containerID|resourceVersion|continue|holderIdentity|generateName|name|namespace|providerID|selfLink)$/
/** Helm's way to restart pods when what they mount changes: checksum/secret is a hash, whatever it is called. */
const CHECKSUM = /^checksum[./]/
/** Hashes of passwords can be guessed from, and Vault calls its second secret an id. */
const NO_REFERENCE =
  /(?:^|[-_.])(?:password|passwd|pwd)[-_.]?hash$|[a-z](?:Password|Passwd)Hash$|^passwordHash$|secret[-_]?id$/i
/** Words that end in "pass" and are none. */
const OTHER_PASSES = /^(?:by|com|encom|sur|over|under|tres|ask|proxy|multi)pass$/

export const NAME_PLAIN = 0
export const NAME_CREDENTIAL = 1
/** Its values are not judged by their look. */
export const NAME_PUBLIC = 2

const KNOWN_MAX = 4096
const known = new Map<string, number>()

/** What a name says of its value: NAME_PLAIN, NAME_CREDENTIAL or NAME_PUBLIC. */
export function classOfName(name: string): number {
  let found = known.get(name)
  if (found === undefined) {
    found = isCredentialName(name) ? NAME_CREDENTIAL : PUBLIC.test(name) ? NAME_PUBLIC : NAME_PLAIN
    if (known.size >= KNOWN_MAX) known.clear()
    if (name.length <= 128) known.set(name, found)
  }
  return found
}

/** Whether a name says that it names a credential: DB_PASSWORD, apiToken, client-secret, X-Auth-Token; not secretName. */
export function isCredentialName(name: string): boolean {
  if (CHECKSUM.test(name)) return false
  if (NO_REFERENCE.test(name)) return true
  const words = wordsOf(name)
  const last = words.at(-1)
  if (last === undefined || HARMLESS_LAST.has(last)) return false
  return words.some((word, index) => {
    if (CREDENTIAL_WORDS.has(word)) return true
    const next = words[index + 1]
    if ((next === 'key' || next === 'keys') && KEY_KINDS.has(word)) return true
    if ((next === 'string' || next === 'uri') && CONNECTION_KINDS.has(word)) return true
    return (
      /^[a-z]{0,12}(?:password|passwd|passphrase|pass|pwd?|secret|apikey|token|psk)\d*$/.test(word) &&
      !OTHER_PASSES.test(word)
    )
  })
}

function wordsOf(name: string): string[] {
  // The prefix of an annotation's or label's key is a domain.
  return name
    .slice(name.lastIndexOf('/') + 1)
    .slice(-128)
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
}
