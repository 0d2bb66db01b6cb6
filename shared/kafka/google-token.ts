const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
/** Google's access tokens live an hour, those of a metadata server at least five minutes more when it hands them out. */
const LIFETIME_SECONDS = 3600

/** What is asked of Google: an access token, and whose it is. */
export interface Credentials {
  getAccessToken(): Promise<string | null | undefined>
  getCredentials(): Promise<{ client_email?: string | undefined }>
}

/**
 * The tokens that Managed Service for Apache Kafka accepts over SASL/OAUTHBEARER: not the access token itself, but
 * three parts like a JWT's, with the access token in the place of the signature. A token is asked for with each connection;
 * google-auth-library keeps and renews it.
 * https://cloud.google.com/managed-service-for-apache-kafka/docs/authentication-kafka
 */
export function googleToken(
  credentials?: Credentials,
  nowMs: () => number = Date.now,
): () => Promise<{ value: string }> {
  let known = credentials
  return async () => {
    known ??= await googleCredentials()
    const [token, { client_email }] = await Promise.all([known.getAccessToken(), known.getCredentials()])
    if (!token || !client_email) throw new Error('Google gave no access token for a service account')
    return { value: assemble(token, client_email, Math.floor(nowMs() / 1000)) }
  }
}

/** The library is loaded by who uses it: it is megabytes, and most clusters have other ways. */
async function googleCredentials(): Promise<Credentials> {
  const { GoogleAuth } = await import('google-auth-library')
  return new GoogleAuth({ scopes: SCOPE })
}

function assemble(token: string, subject: string, issuedAt: number): string {
  const header = { typ: 'JWT', alg: 'GOOG_OAUTH2_TOKEN' }
  const claims = { exp: issuedAt + LIFETIME_SECONDS, iss: 'Google', iat: issuedAt, sub: subject }
  return [JSON.stringify(header), JSON.stringify(claims), token]
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
}
