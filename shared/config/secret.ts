import { readFileSync } from 'node:fs'
import { orUserError, UserError } from '../errors.ts'

/**
 * A secret, from where the configuration says that it is.
 * @param key the key that says so, for the error
 * @throws UserError when there is none
 */
export function readSecret(key: string, where: { env?: string | undefined; file?: string | undefined } = {}): string {
  const { env, file } = where
  const fix = 'name a file that this user may read'
  const value = file ? orUserError(() => readFileSync(file, 'utf8'), key, fix).trimEnd() : env && process.env[env]
  if (value) return value
  if (file) throw new UserError(`${key}: ${file} is empty`, 'write the secret into it')
  if (env) throw new UserError(`${key}: the environment variable ${env} is not set`, 'set it')
  throw new UserError(`${key} is missing`, 'say where it is: { env: NAME } or { file: PATH }')
}
