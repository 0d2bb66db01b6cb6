import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate with its private key (PKCS#8), both in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** A certificate authority of its own, for one test. */
export interface Authority {
  readonly cert: string
  /** A certificate for 127.0.0.1 and localhost, good for servers and clients. */
  issue(commonName: string): Certificate
}

const DAY_MS = 86_400_000
const COMMON_NAME = '550403'
const ECDSA_SHA256 = '2a8648ce3d040302'
const BASIC_CONSTRAINTS = '551d13'
const KEY_USAGE = '551d0f'
const SUBJECT_ALT_NAME = '551d11'
const TRUE = Buffer.from([0x01, 0x01, 0xff])

/** Makes a certificate authority, without any program beside Node. */
export function createAuthority(): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const isAuthority = [
    extension(BASIC_CONSTRAINTS, sequence(TRUE), TRUE),
    extension(KEY_USAGE, der(0x03, Buffer.from([1, 0x06])), TRUE), // signs certificates and revocations
  ]
  const issue = (commonName: string): Certificate => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])))
    const cert = certificate(commonName, pair.publicKey, [extension(SUBJECT_ALT_NAME, names)], privateKey)
    return { cert, key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
  }
  return { cert: certificate(AUTHORITY, publicKey, isAuthority, privateKey), issue }
}

const AUTHORITY = 'Millrace test authority'

/** X.509 version 3: https://www.rfc-editor.org/rfc/rfc5280#section-4.1 */
function certificate(commonName: string, publicKey: KeyObject, extensions: Buffer[], signer: KeyObject): string {
  const algorithm = sequence(oid(ECDSA_SHA256))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name(AUTHORITY),
    sequence(time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    name(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const bytes = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, signer)])))
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function name(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0c, Buffer.from(commonName)))))
}

function time(ms: number): Buffer {
  return der(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`)) // UTCTime, until 2049
}

function extension(id: string, value: Buffer, ...critical: Buffer[]): Buffer {
  return sequence(oid(id), ...critical, der(0x04, value))
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content // in as few bytes as it takes: Java checks the signature of what it would have written itself
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
