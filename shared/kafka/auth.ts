import type { ConnectionOptions } from 'node:tls'
import type { SASLOptions } from 'kafkajs'
import { type KafkaConfig, readSecret } from '../config/index.ts'
import { UserError } from '../errors.ts'
import { googleToken } from './google-token.ts'

/**
 * What kafkajs needs to authenticate. Reads the secrets from where the configuration, which was checked, says they are.
 * @throws UserError for one that cannot be read
 */
export function authentication(kafka: KafkaConfig): { ssl?: ConnectionOptions; sasl?: SASLOptions } {
  const ssl = tlsOptions(kafka)
  const sasl = saslOptions(kafka)
  return { ...(ssl && { ssl }), ...(sasl && { sasl }) }
}

function tlsOptions({ auth, tls }: KafkaConfig): ConnectionOptions | undefined {
  if (!tls) return auth === 'google' || auth === 'mtls' ? {} : undefined
  if (tls === true) return {}
  const read = (key: keyof typeof tls) => tls[key] && readPem(`kafka.tls.${key}`, tls[key])
  return { ca: read('ca_file'), cert: read('cert_file'), key: read('key_file') }
}

function saslOptions({ auth, sasl }: KafkaConfig): SASLOptions | undefined {
  if (auth === 'google') return { mechanism: 'oauthbearer', oauthBearerProvider: googleToken() }
  if (auth !== 'sasl' || !sasl) return undefined
  const password = () => readSecret('kafka.sasl.password', sasl.password)
  // A token is read again for each connection, because it expires.
  if (sasl.mechanism === 'oauthbearer') {
    return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: password() }) }
  }
  return { mechanism: sasl.mechanism, username: sasl.username ?? '', password: password() }
}

function readPem(key: string, file: string): string {
  const text = readSecret(key, { file })
  if (text.includes('-----BEGIN ')) return text
  throw new UserError(`${key}: ${file} holds no PEM`, 'Give a file that begins with -----BEGIN.')
}
