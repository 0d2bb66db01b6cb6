import { EXTRA, isPlainColumnName, type TableField } from '../schema/index.ts'
import { type Member, type Shape, VALUES_MAX } from './shape.ts'

/** BigQuery nests 15 records; one level less leaves room for what is in the last. */
const DEPTH_MAX = 14
/** An object with more members than this is a table of its own, not a record. */
const MEMBERS_MAX = 300
/** From so many members on, an object of which each value has few of them, all alike, has data for keys. */
const VARYING_MEMBERS_MIN = 16
const VARYING_PRESENCE_MAX = 0.25
/** The metadata column of the proposed route. */
export const METADATA = 'millrace'
const TAKEN = new Set([EXTRA, METADATA])
const CLUSTER_COLUMNS = 2
/** A column to cluster by is there in most events. */
const CLUSTER_PRESENCE = 0.9

const TIME_TYPES = ['TIMESTAMP', 'DATETIME', 'DATE']
/** Names of the moment of an event, the likeliest first. */
const TIME_NAMES = ['timestamp', 'time', 'ts', 'event_time', 'created_at', 'datetime', 'date', 'at']
const TIME_NAME = /(?:time|timestamp|date|_at|[a-z]At|^at|^ts|_ts)$/

/** What is asked for, and what the format of the events can fill. */
export interface SchemaWishes {
  /** Columns that every event of the sample has become REQUIRED. */
  readonly required: boolean
  /** The type of a column whose values are of different kinds. */
  readonly mixed: 'JSON' | 'STRING'
}

/** A proposal for a table. */
export interface TableProposal {
  readonly fields: readonly TableField[]
  readonly partition: { readonly field?: string; readonly by: 'day' }
  readonly cluster: readonly string[]
}

/** A column, and what was seen of its values. */
interface Column {
  readonly field: TableField
  readonly shape: Shape
}

/** @param events the shape of the whole events */
export function proposeTable(events: Shape, wishes: SchemaWishes): TableProposal {
  const columns = [...events.members.values()]
    .filter((member) => isUsable(member) && !TAKEN.has(member.name.toLowerCase()))
    .map((member): Column => ({ field: fieldOf(member, events, wishes, 1), shape: member.shape }))
  const time = timeField(columns)
  return {
    fields: columns.map(({ field }) => field),
    partition: { ...(time ? { field: time } : {}), by: 'day' },
    cluster: clusterOf(columns, events.count * CLUSTER_PRESENCE),
  }
}

function isUsable({ name, clashes }: Member): boolean {
  return isPlainColumnName(name) && !clashes
}

function fieldOf({ name, shape }: Member, parent: Shape, wishes: SchemaWishes, depth: number): TableField {
  const type = typeOf(shape, name, wishes, depth)
  const required = wishes.required && type.mode !== 'REPEATED' && shape.count === parent.count
  return { name, mode: required ? 'REQUIRED' : 'NULLABLE', ...type }
}

function typeOf(shape: Shape, name: string, wishes: SchemaWishes, depth: number, inArray = false): TypeProposal {
  const [kind, ...others] = shape.kinds
  if (kind === undefined) return { type: wishes.mixed }
  if (others.length > 0) return { type: mixedType([kind, ...others], wishes) }
  if (kind === 'array') return arrayType(shape, name, wishes, depth)
  if (kind === 'object') return objectType(shape, wishes, depth, inArray)
  const isTime = kind === 'INT64' && TIME_NAME.test(name) && shape.epochs === shape.count
  return { type: isTime ? 'TIMESTAMP' : kind }
}

type TypeProposal = Omit<TableField, 'name'>

function mixedType(kinds: readonly string[], { mixed }: SchemaWishes): string {
  const only = (...allowed: string[]) => kinds.every((kind) => allowed.includes(kind))
  if (only('INT64', 'NUMERIC')) return 'NUMERIC'
  if (only('INT64', 'NUMERIC', 'FLOAT64')) return 'FLOAT64'
  return only('STRING', 'TIMESTAMP', 'DATETIME', 'DATE') ? 'STRING' : mixed
}

/** BigQuery's arrays hold neither NULL nor arrays: one that does is JSON as a whole, and so is one of changing kinds. */
function arrayType({ items }: Shape, name: string, wishes: SchemaWishes, depth: number): TypeProposal {
  if (!items || items.nulls > 0 || items.kinds.size === 0) return { type: 'JSON' }
  const item = typeOf(items, name, wishes, depth, true)
  return item.type === 'JSON' || item.mode === 'REPEATED' ? { type: 'JSON' } : { ...item, mode: 'REPEATED' }
}

function objectType(shape: Shape, wishes: SchemaWishes, depth: number, inArray: boolean): TypeProposal {
  const members = [...shape.members.values()]
  const usable = members.filter(isUsable)
  // What has no column goes to `extra` by its path, in which an array has no index: there, all or nothing.
  const tooFew = inArray ? usable.length < members.length : usable.length * 2 <= members.length
  if (tooFew || members.length === 0 || depth > DEPTH_MAX || keysAreData(shape, members)) return { type: 'JSON' }
  return { type: 'RECORD', fields: usable.map((member) => fieldOf(member, shape, wishes, depth + 1)) }
}

function keysAreData(shape: Shape, members: readonly Member[]): boolean {
  if (members.length > MEMBERS_MAX) return true
  const present = members.reduce((sum, member) => sum + member.shape.count, 0)
  const alike = new Set(members.map((member) => [...member.shape.kinds].sort().join())).size === 1
  const share = present / (members.length * shape.count)
  return alike && members.length >= VARYING_MEMBERS_MIN && share < VARYING_PRESENCE_MAX
}

/** The column that says when an event happened: most present, then the likeliest name, then the first. */
function timeField(columns: readonly Column[]): string | undefined {
  const rank = (name: string) => [...TIME_NAMES, name.toLowerCase()].indexOf(name.toLowerCase())
  const [first] = columns
    .filter(({ field }) => TIME_TYPES.includes(field.type) && field.mode !== 'REPEATED')
    .sort((a, b) => b.shape.count - a.shape.count || rank(a.field.name) - rank(b.field.name))
  return first?.field.name
}

/** Texts of few different values, as filters name them: the fewest first. */
function clusterOf(columns: readonly Column[], countMin: number): string[] {
  return columns
    .filter(({ field, shape: { values, count } }) => {
      const isText = field.type === 'STRING' && field.mode !== 'REPEATED'
      return isText && count >= countMin && values.size >= 2 && values.size < VALUES_MAX && values.size * 2 <= count
    })
    .sort((a, b) => a.shape.values.size - b.shape.values.size)
    .slice(0, CLUSTER_COLUMNS)
    .map(({ field }) => field.name)
}
