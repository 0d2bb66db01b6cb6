import { spawn } from 'node:child_process'
import { kcat, type Task } from './contestants.ts'

export const LINE_BYTES = 195
const NUMBER_DIGITS = 10
const PATHS = ['/api/v1/items', '/api/v1/offers', '/assets/app.js', '/', '/search', '/login', '/cart/checkout']
const AGENTS = ['Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101', 'curl/8.5.0', 'Mozilla/5.0 (iPhone; CPU OS 18_1)']
const LF = 10

/** One line of an access log with its number at the head; always LINE_BYTES with its LF. */
export function line(number: number): Buffer {
  const hash = Math.imul(number + 1, 2_654_435_761) >>> 0
  const path = `${PATHS[hash % PATHS.length]}/${hash % 9973}`
  const time = `12/Mar/2026:10:${twoDigits(number / 60_000)}:${twoDigits(number / 1000)} +0000`
  const text = `${`${number}`.padStart(NUMBER_DIGITS, '0')} 10.${hash & 255}.${(hash >>> 8) & 255}.7 - - [${time}] "GET ${path} HTTP/1.1" ${hash % 11 ? 200 : 404} ${hash % 50_000} "https://www.example.com/" "${AGENTS[hash % 3]}" ${hash.toString(36)}`
  return Buffer.from(`${text.padEnd(LINE_BYTES - 1, ' rt=0.013')}`.slice(0, LINE_BYTES - 1).concat('\n'), 'latin1')
}

function twoDigits(value: number): string {
  return `${Math.floor(value) % 60}`.padStart(2, '0')
}

export interface Checked {
  readonly lost: number
  readonly doubled: number
}

/** Reads the topic with another client (kcat, read_committed), and looks for each number once. Undefined: no kcat. */
export async function checkLines({ brokers, topic }: Task, lines: number): Promise<Checked | undefined> {
  const command = kcat(['-C', '-e', '-q', '-b', brokers, '-t', topic, '-X', 'isolation.level=read_committed'])
  if (!command) return undefined
  const counts = new Uint8Array(lines)
  const reader = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  let rest = Buffer.alloc(0)
  for await (const piece of reader.stdout as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([rest, piece])
    let at = 0
    for (let lf = bytes.indexOf(LF); lf >= 0; lf = bytes.indexOf(LF, at)) {
      counts[numberAt(bytes, at)]!++
      at = lf + 1
    }
    rest = bytes.subarray(at)
  }
  let [lost, doubled] = [0, 0]
  for (const count of counts) {
    if (count === 0) lost++
    else doubled += count - 1
  }
  return { lost, doubled }
}

/** The number that stands at the head of a line. */
function numberAt(bytes: Buffer, start: number): number {
  let number = 0
  for (let at = start; at < start + NUMBER_DIGITS; at++) number = number * 10 + (bytes[at] ?? 0) - 48
  return number
}
