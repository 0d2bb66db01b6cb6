import { createHash, timingSafeEqual } from 'node:crypto'
import { OAuth2Client } from 'google-auth-library'
import { type PushConfig, readSecret } from '../../shared/config/index.ts'
import { Refusal } from './refusal.ts'

/** Lets the sender in that shows this header. @throws Refusal (401, 403); anything else: it could not be checked now */
export type Authorize = (authorization: string) => Promise<void>

/** @throws UserError when the secret is not where the configuration says */
export function openAuthorize(push: PushConfig, client = new OAuth2Client()): Authorize {
  return push.auth === 'secret' ? bySecret(readSecret('push.secret', push.secret)) : byToken(push, client)
}

/** Digests have one length, so that the comparison takes the same time for every text. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function bySecret(secret: string): Authorize {
  const expected = digest(secret)
  return async (authorization) => {
    if (!timingSafeEqual(digest(secretIn(authorization)), expected))
      throw new Refusal(401, 'the secret is missing or wrong')
  }
}

/** Connectors send a token as Bearer, a user and a password as Basic, or a header of the operator's own as it is. */
function secretIn(authorization: string): string {
  const [, scheme = '', rest = ''] = /^(bearer|basic) +(.*)$/i.exec(authorization) ?? []
  if (scheme.toLowerCase() !== 'basic') return scheme ? rest : authorization
  const pair = Buffer.from(rest, 'base64').toString()
  return pair.slice(pair.indexOf(':') + 1)
}

/** The audience alone would let everybody in: any Google account can have a token for any audience. */
function byToken({ audience = '', callers }: PushConfig, client: OAuth2Client): Authorize {
  return async (authorization) => {
    const [, idToken] = /^bearer +(\S+)$/i.exec(authorization) ?? []
    if (!idToken) throw new Refusal(401, 'Authorization: Bearer and an ID token is missing')
    // Kept by the client. When Google does not give them the token is not to blame.
    await client.getFederatedSignonCertsAsync()
    const ticket = await client.verifyIdToken({ idToken, audience }).catch(() => undefined)
    const { email, email_verified: verified, sub = '' } = ticket?.getPayload() ?? {}
    if (!ticket) throw new Refusal(401, `the token is not valid: signature, time, or another audience than ${audience}`)
    const named = callers.includes(sub) || (verified === true && email !== undefined && callers.includes(email))
    if (!named) throw new Refusal(403, `${email ?? sub} is not among push.callers`)
  }
}
