import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** `npm run bench -- NAME ...`, chaos and fuzz: runs FOLDER/NAME.ts with the remaining arguments. */
const [folder = '', name, ...args] = process.argv.slice(2)
const dir = join(import.meta.dirname, '..', '..', folder)
const names = programNames(dir)

if (name === undefined || !names.includes(name)) {
  const given = name === undefined ? 'a name is needed' : `there is no ${folder}/${name}.ts`
  process.stderr.write(`${given}; the names are: ${names.join(', ') || '(none yet)'}\n`)
  process.exitCode = 2
} else {
  const child = spawn(process.execPath, [join(dir, `${name}.ts`), ...args], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  child.once('exit', (code, signal) => {
    if (signal) process.stderr.write(`${folder}/${name}.ts was ended by ${signal}\n`) // it could not say so itself
    process.exitCode = code ?? 1
  })
}

function programNames(from: string): string[] {
  if (!existsSync(from)) return []
  return readdirSync(from)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort()
}
