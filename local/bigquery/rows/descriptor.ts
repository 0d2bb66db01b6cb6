import { createRequire } from 'node:module'
import protobuf from 'protobufjs'

/** A field of a writer's message. https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto */
export interface FieldDescriptor {
  name: string
  number: number
  /** FieldDescriptorProto.Type */
  type: number
  repeated: boolean
  typeName: string
  /** Path of the message it stands in: where the search for a relative `typeName` begins. */
  scope: string
  defaultValue: string | undefined
}

export interface EnumDescriptor {
  name: string
  values: { name: string; number: number }[]
}

export interface MessageDescriptor {
  name: string
  fields: FieldDescriptor[]
  nested: MessageDescriptor[]
  enums: EnumDescriptor[]
}

const LABEL_REPEATED = 3

/** The service's own definition, as its client package ships it. */
export const storageRoot = protobuf.Root.fromJSON(
  createRequire(import.meta.url)('@google-cloud/bigquery-storage/build/protos/protos.json') as protobuf.INamespace,
)

const descriptorType = storageRoot.lookupType('google.protobuf.DescriptorProto')

interface RawField {
  name?: string
  number?: number
  type?: number
  label?: number
  typeName?: string
  defaultValue?: string | null
}
interface RawMessage {
  name?: string
  field?: RawField[]
  nestedType?: RawMessage[]
  enumType?: { name?: string; value?: { name?: string; number?: number }[] }[]
}

/** Decodes a DescriptorProto. Throws when the bytes are none. */
export function decodeDescriptor(bytes: Buffer): MessageDescriptor {
  return messageOf(descriptorType.decode(bytes) as unknown as RawMessage)
}

function messageOf(raw: RawMessage): MessageDescriptor {
  return {
    name: raw.name ?? '',
    fields: (raw.field ?? []).map(fieldOf),
    nested: (raw.nestedType ?? []).map(messageOf),
    enums: (raw.enumType ?? []).map(({ name = '', value = [] }) => ({
      name,
      values: value.map((entry) => ({ name: entry.name ?? '', number: entry.number ?? 0 })),
    })),
  }
}

function fieldOf(raw: RawField): FieldDescriptor {
  const hasDefault = Object.hasOwn(raw, 'defaultValue') && typeof raw.defaultValue === 'string'
  return {
    name: raw.name ?? '',
    number: raw.number ?? 0,
    type: raw.type ?? 0,
    repeated: raw.label === LABEL_REPEATED,
    typeName: raw.typeName ?? '',
    scope: '',
    defaultValue: hasDefault ? (raw.defaultValue ?? undefined) : undefined,
  }
}

/** Finds messages and enums by the names that fields of `root` use: relative or full, any nesting. */
export class TypeNames {
  readonly #messages = new Map<string, MessageDescriptor>()
  readonly #enums = new Map<string, EnumDescriptor>()

  constructor(root: MessageDescriptor) {
    this.#add(root, '')
  }

  message(field: FieldDescriptor): MessageDescriptor | undefined {
    return find(this.#messages, field)
  }

  enum(field: FieldDescriptor): EnumDescriptor | undefined {
    return find(this.#enums, field)
  }

  #add(message: MessageDescriptor, scope: string): void {
    const path = `${scope}.${message.name}`
    this.#messages.set(path, message)
    for (const field of message.fields) field.scope = path
    for (const one of message.enums) this.#enums.set(`${path}.${one.name}`, one)
    for (const one of message.nested) this.#add(one, path)
  }
}

/**
 * A relative name is looked for from the innermost scope outwards, as protobuf does. A full one is the type's path, or the
 * path with a package in front of it, or its end.
 */
function find<T>(types: ReadonlyMap<string, T>, { typeName, scope }: FieldDescriptor): T | undefined {
  const wanted = typeName.startsWith('.') ? typeName : `.${typeName}`
  if (wanted !== typeName) {
    for (let at = scope; at !== ''; at = at.slice(0, at.lastIndexOf('.'))) {
      const found = types.get(at + wanted)
      if (found) return found
    }
  }
  const exact = types.get(wanted)
  if (exact) return exact
  for (const [path, type] of types) if (path.endsWith(wanted) || wanted.endsWith(path)) return type
  return undefined
}
