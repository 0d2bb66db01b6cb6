import { type RunningKafka, startKafka } from '../../local/kafka/index.ts'
import type { Authority } from './certificates.ts'

const LOGIN = 'org.apache.kafka.common.security'

/**
 * A broker that asks who is there, at four listeners: `LOGIN` (SASL: PLAIN for alice, SCRAM in both sizes for bob, unsecured
 * bearer tokens), `TLS`, `MUTUAL` (TLS with client certificates) and `BOTH` (TLS and PLAIN). Every password is `secret`.
 */
export function startSecureBroker(dataDir: string, authority: Authority): Promise<RunningKafka> {
  const server = authority.issue('broker')
  const tls = (listener: string) => ({
    [`listener.name.${listener}.ssl.keystore.type`]: 'PEM',
    [`listener.name.${listener}.ssl.keystore.certificate.chain`]: server.cert,
    [`listener.name.${listener}.ssl.keystore.key`]: server.key,
    [`listener.name.${listener}.ssl.truststore.type`]: 'PEM',
    [`listener.name.${listener}.ssl.truststore.certificates`]: authority.cert,
  })
  const plain = `${LOGIN}.plain.PlainLoginModule required user_alice="secret" user_dora="secret";`
  return startKafka({
    dataDir,
    env: { ...process.env, KAFKA_BROKERS: '' },
    listeners: [
      { name: 'LOGIN', protocol: 'SASL_PLAINTEXT' },
      { name: 'TLS', protocol: 'SSL' },
      { name: 'MUTUAL', protocol: 'SSL' },
      { name: 'BOTH', protocol: 'SASL_SSL' },
    ],
    properties: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS;User:alice;User:bob;User:carol;User:CN=client',
      'listener.name.login.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      'listener.name.both.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.login.plain.sasl.jaas.config': plain,
      'listener.name.login.scram-sha-256.sasl.jaas.config': `${LOGIN}.scram.ScramLoginModule required;`,
      'listener.name.login.scram-sha-512.sasl.jaas.config': `${LOGIN}.scram.ScramLoginModule required;`,
      'listener.name.login.oauthbearer.sasl.jaas.config': `${LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";`,
      'listener.name.both.plain.sasl.jaas.config': plain,
      ...tls('tls'),
      ...tls('both'),
      ...tls('mutual'),
      'listener.name.mutual.ssl.client.auth': 'required',
    },
    scramUsers: [
      { mechanism: 'SCRAM-SHA-256', name: 'bob', password: 'secret' },
      { mechanism: 'SCRAM-SHA-512', name: 'bob', password: 'secret' },
    ],
  })
}

/** A token without signature, as the broker takes them when it has no keys. */
export function unsecuredToken(): string {
  const now = Math.floor(Date.now() / 1000)
  const parts = [{ alg: 'none' }, { sub: 'carol', iat: now, exp: now + 600 }]
  return `${parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`
}
