import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeDescriptor, storageRoot, TypeNames } from './descriptor.ts'

const descriptorType = storageRoot.lookupType('google.protobuf.DescriptorProto')
const MESSAGE = 11

void test('a relative name means the innermost type of that name, however often it recurs', () => {
  const inner = {
    name: 'M',
    field: [{ name: 'deep', number: 1, type: MESSAGE, typeName: 'M' }],
    nestedType: [{ name: 'M' }],
  }
  const field = [
    { name: 'outer', number: 1, type: MESSAGE, typeName: 'M' },
    { name: 'full', number: 2, type: MESSAGE, typeName: '.Row.M.M' },
    { name: 'packaged', number: 3, type: MESSAGE, typeName: '.shop.Row.M' },
    { name: 'none', number: 4, type: MESSAGE, typeName: 'N' },
  ]
  const bytes = descriptorType.encode(descriptorType.fromObject({ name: 'Row', field, nestedType: [inner] })).finish()
  const root = decodeDescriptor(Buffer.from(bytes))
  const types = new TypeNames(root)
  const [outer, deepest] = [root.nested[0], root.nested[0]?.nested[0]]
  const found = root.fields.map((one) => types.message(one))
  assert.equal(found[0], outer)
  assert.equal(found[1], deepest)
  assert.equal(found[2], outer)
  assert.equal(found[3], undefined)
  assert.equal(outer && types.message(outer.fields[0]!), deepest)
})
