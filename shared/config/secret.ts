import { readFileSync } from 'node:fs'
import { messageOf, UserError } from '../errors.ts'

/**
 * A secret, from where the configuration says that it is.
 * @param key the key that says so, for the error
 * @throws UserError when there is none
 */
export function readSecret(key: string, where: { env?: string | undefined; file?: string | undefined } = {}): string {
  const { env, file } = where
  const value = file ? readFile(key, file).trimEnd() : env && process.env[env]
  if (value) return value
  if (file) throw new UserError(`${key}: ${file} is empty`, 'write the secret into it')
  if (env) throw new UserError(`${key}: the environment variable ${env} is not set`, 'set it')
  throw new UserError(`${key} is missing`, 'say where it is: { env: NAME } or { file: PATH }')
}

function readFile(key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`${key}: ${messageOf(cause)}`, 'name a file that this user may read', { cause })
  }
}
