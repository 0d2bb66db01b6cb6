import type { GoogleAuth } from 'google-auth-library'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
/** Google's access tokens live an hour, those of a metadata server at least five minutes more when it hands them out. */
const LIFETIME_SECONDS = 3600

/**
 * The tokens that Managed Service for Apache Kafka accepts over SASL/OAUTHBEARER: not the access token itself, but
 * three parts like a JWT's, with the access token in the place of the signature. A token is asked for with each connection;
 * google-auth-library keeps and renews it.
 * https://cloud.google.com/managed-service-for-apache-kafka/docs/authentication-kafka
 */
export function googleToken(): () => Promise<{ value: string }> {
  let auth: GoogleAuth | undefined
  return async () => {
    // Loaded by who uses it: it is megabytes, and most clusters have other ways.
    auth ??= new (await import('google-auth-library')).GoogleAuth({ scopes: SCOPE })
    const [token, { client_email }] = await Promise.all([auth.getAccessToken(), auth.getCredentials()])
    if (!token || !client_email) throw new Error('Google gave no access token for a service account')
    return { value: assemble(token, client_email, Math.floor(Date.now() / 1000)) }
  }
}

function assemble(token: string, subject: string, issuedAt: number): string {
  const header = { typ: 'JWT', alg: 'GOOG_OAUTH2_TOKEN' }
  const claims = { exp: issuedAt + LIFETIME_SECONDS, iss: 'Google', iat: issuedAt, sub: subject }
  return [JSON.stringify(header), JSON.stringify(claims), token]
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
}
