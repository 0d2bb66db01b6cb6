import type { Position } from '../errors.ts'

/** What the parser makes of a statement. Names are as written; function names and keywords are in upper case. */
export type Expr =
  | { kind: 'literal'; type: 'INT64' | 'FLOAT64' | 'STRING' | 'BYTES' | 'BOOL' | 'NULL'; text: string; at: Position }
  | { kind: 'typedLiteral'; type: string; text: string; at: Position }
  | { kind: 'parameter'; name?: string; index?: number; at: Position }
  | { kind: 'name'; name: string; at: Position }
  | { kind: 'field'; base: Expr; name: string; at: Position }
  | { kind: 'index'; base: Expr; index: Expr; mode: IndexMode; at: Position }
  | CallExpr
  | { kind: 'unary'; op: '-' | '+' | '~' | 'NOT'; operand: Expr; at: Position }
  | { kind: 'binary'; op: string; left: Expr; right: Expr; at: Position }
  | { kind: 'between'; operand: Expr; low: Expr; high: Expr; not: boolean; at: Position }
  | { kind: 'in'; operand: Expr; not: boolean; list?: Expr[]; query?: Query; array?: Expr; at: Position }
  | {
      kind: 'like'
      operand: Expr
      not: boolean
      pattern?: Expr
      patterns?: Expr[]
      quantifier?: 'ANY' | 'ALL'
      at: Position
    }
  | { kind: 'is'; operand: Expr; not: boolean; what: 'NULL' | 'TRUE' | 'FALSE'; at: Position }
  | { kind: 'case'; operand?: Expr; whens: { when: Expr; then: Expr }[]; otherwise?: Expr; at: Position }
  | { kind: 'cast'; operand: Expr; type: TypeName; safe: boolean; at: Position }
  | { kind: 'extract'; part: Expr; operand: Expr; zone?: Expr; at: Position }
  | { kind: 'array'; type?: TypeName; items: Expr[]; at: Position }
  | { kind: 'struct'; type?: TypeName; items: { name?: string; value: Expr }[]; at: Position }
  | { kind: 'interval'; value: Expr; unit: string; toUnit?: string; at: Position }
  | { kind: 'subquery'; form: 'scalar' | 'exists' | 'array'; query: Query; at: Position }
  | { kind: 'default'; at: Position }

export type IndexMode = 'PLAIN' | 'OFFSET' | 'ORDINAL' | 'SAFE_OFFSET' | 'SAFE_ORDINAL'

export interface CallExpr {
  kind: 'call'
  name: string
  /** Called with the prefix `SAFE.`. */
  safe: boolean
  args: Expr[]
  /** Arguments written `name => value`. */
  named: { name: string; value: Expr }[]
  star: boolean
  distinct: boolean
  nulls?: 'IGNORE' | 'RESPECT'
  having?: { most: 'MAX' | 'MIN'; by: Expr }
  orderBy: OrderItem[]
  limit?: Expr
  over?: Window
  at: Position
}

export interface OrderItem {
  expr: Expr
  descending: boolean
  nulls?: 'FIRST' | 'LAST'
  at: Position
}

/** The name of a window alone (`OVER w`), or a specification that may build on one. */
export interface Window {
  base?: string
  partitionBy: Expr[]
  orderBy: OrderItem[]
  frame?: { unit: 'ROWS' | 'RANGE'; start: FrameBound; end: FrameBound }
  at: Position
}

export type FrameBound =
  | { kind: 'UNBOUNDED PRECEDING' | 'UNBOUNDED FOLLOWING' | 'CURRENT ROW' }
  | { kind: 'PRECEDING' | 'FOLLOWING'; offset: Expr }

export type TypeName =
  /** `limits`: the length of STRING(10), precision and scale of NUMERIC(10, 2); read, and enforced in columns alone. */
  | { kind: 'simple'; name: string; limits?: string[]; at: Position }
  | { kind: 'array'; element: TypeName; at: Position }
  | { kind: 'struct'; fields: { name?: string; type: TypeName }[]; at: Position }

export interface Query {
  ctes: { name: string; query: Query; at: Position }[]
  body: QueryBody
  orderBy: OrderItem[]
  limit?: Expr
  offset?: Expr
  at: Position
}

export type QueryBody =
  | Select
  | { kind: 'setOperation'; op: SetOperator; arms: QueryBody[]; at: Position }
  | { kind: 'query'; query: Query; at: Position }

export type SetOperator = 'UNION ALL' | 'UNION DISTINCT' | 'EXCEPT DISTINCT' | 'INTERSECT DISTINCT'

export interface Select {
  kind: 'select'
  distinct: boolean
  as?: 'STRUCT' | 'VALUE'
  items: SelectItem[]
  from?: From
  where?: Expr
  groupBy?: GroupBy
  having?: Expr
  qualify?: Expr
  windows: { name: string; window: Window }[]
  at: Position
}

export interface GroupBy {
  kind: 'items' | 'rollup' | 'all'
  items: Expr[]
}

export type SelectItem =
  | { kind: 'expr'; expr: Expr; alias?: string; at: Position }
  | {
      kind: 'star'
      base?: Expr
      except: { name: string; at: Position }[]
      replace: { name: string; expr: Expr; at: Position }[]
      at: Position
    }

export type From =
  | { kind: 'table'; path: string[]; alias?: string; offset?: string; at: Position }
  | { kind: 'query'; query: Query; alias?: string; at: Position }
  | { kind: 'unnest'; array: Expr; alias?: string; offset?: string; at: Position }
  | JoinFrom

export interface JoinFrom {
  kind: 'join'
  type: 'INNER' | 'LEFT' | 'RIGHT' | 'FULL' | 'CROSS'
  left: From
  right: From
  on?: Expr
  using?: { name: string; at: Position }[]
  at: Position
}

export interface TablePath {
  path: string[]
  at: Position
}

export interface Assignment {
  path: { name: string; at: Position }[]
  value: Expr
  at: Position
}

export interface InsertRows {
  columns?: { name: string; at: Position }[]
  /** INSERT ROW of a MERGE: every column of the source by its position. */
  row?: boolean
  values: Expr[][]
}

export interface MergeClause {
  match: 'MATCHED' | 'NOT MATCHED' | 'NOT MATCHED BY SOURCE'
  condition?: Expr
  action: { kind: 'insert'; rows: InsertRows } | { kind: 'update'; set: Assignment[] } | { kind: 'delete' }
  at: Position
}

export type Statement =
  | { kind: 'query'; query: Query }
  | { kind: 'insert'; target: TablePath; rows: InsertRows; query?: Query; at: Position }
  | { kind: 'update'; target: TablePath; alias?: string; set: Assignment[]; from?: From; where: Expr; at: Position }
  | { kind: 'delete'; target: TablePath; alias?: string; where: Expr; at: Position }
  | { kind: 'truncate'; target: TablePath; at: Position }
  | { kind: 'merge'; target: TablePath; alias?: string; source: From; on: Expr; clauses: MergeClause[]; at: Position }
  | {
      kind: 'createView'
      target: TablePath
      query: Query
      text: string
      orReplace: boolean
      tolerant: boolean
      at: Position
    }
  | { kind: 'dropView'; target: TablePath; tolerant: boolean; at: Position }
  | { kind: 'alterColumn'; target: TablePath; column: string; type: TypeName; at: Position }
