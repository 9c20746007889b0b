// The keys by which a sink says who it is and whom it trusts, as data (schema.ts). Invariant: all that is
// under `auth` is secret: a printed configuration masks it whole.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are references to the environment, not templates.
import type { AuthConfig, ElasticsearchAuthConfig, TlsConfig } from './config.ts'
import * as format from './formats.ts'
import { boolean, text } from './scalars.ts'
import { key, REQUIRED, record, type Shape, UNSET } from './shapes.ts'

const authKeys = {
  basic: key(
    record(
      {
        username: key(format.username(), REQUIRED, 'The user name.'),
        password: key(format.secret(), UNSET, 'The password; better `${NAME}` than the secret itself.'),
        passwordFile: key(
          format.file(),
          UNSET,
          'A file that holds the password; read again when it changes. A final line break is not part of it.',
        ),
      },
      { exactlyOne: [['password', 'passwordFile']] },
    ),
    UNSET,
    'HTTP basic authentication.',
  ),
  bearer: key(
    record(
      {
        token: key(format.secret(), UNSET, 'The token.'),
        tokenFile: key(format.file(), UNSET, 'A file that holds the token, as above.'),
      },
      { exactlyOne: [['token', 'tokenFile']] },
    ),
    UNSET,
    'A bearer token.',
  ),
}

export const auth = record(authKeys, { secret: true, exactlyOne: [['basic', 'bearer']] }) as Shape<AuthConfig>

export const elasticsearchAuth = record(
  {
    apiKey: key(
      record(
        {
          key: key(format.secret(), UNSET, 'The key as the server encodes it, or `id:api_key`.'),
          keyFile: key(format.file(), UNSET, 'A file that holds the key, as below.'),
        },
        { exactlyOne: [['key', 'keyFile']] },
      ),
      UNSET,
      'An API key.',
    ),
    ...authKeys,
  },
  { secret: true, exactlyOne: [['apiKey', 'basic', 'bearer']] },
) as Shape<ElasticsearchAuthConfig>

export const tls = record<TlsConfig>(
  {
    caFile: key(format.file(), UNSET, 'Certificates (PEM) to trust instead of those that Node brings.'),
    certFile: key(format.file(), UNSET, 'Our own certificate (PEM), with `keyFile`.'),
    keyFile: key(format.file(), UNSET, 'Its private key (PEM).'),
    serverName: key(
      text('a host name', /^[A-Za-z0-9.-]+$/),
      UNSET,
      'The name to expect in the certificate, where it is not that of the URL.',
    ),
    insecureSkipVerify: key(boolean(), UNSET, 'Accepts any certificate. For tests.'),
  },
  { together: [['certFile', 'keyFile']] },
)
