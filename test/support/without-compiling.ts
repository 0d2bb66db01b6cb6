/** What `make` makes where functions cannot be made from strings, as under Node's flag against it (shared/codec/compile.ts). */
export function withoutCompiling<T>(make: () => T): T {
  const { Function: own } = globalThis
  const refuse = () => {
    throw new EvalError('Code generation from strings disallowed for this context')
  }
  globalThis.Function = new Proxy(own, { construct: refuse, apply: refuse })
  try {
    return make()
  } finally {
    globalThis.Function = own
  }
}
