/**
 * The cluster file as YAML with the place of every key: so that a problem can be reported as line
 * and column, and `config explain` can say where a value stands.
 */
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml'

/** More faults, and more repeated keys, are not looked at: a broken file has one at each sign. */
const FAULTS_MAX = 100
const DEPTH_MAX = 100
const REPEATED_MAX = 100

/** Keys and list positions from the top of the file. */
export type ConfigPath = readonly (string | number)[]

/** A place in the file; both count from 1. */
export interface DocumentPlace {
  readonly line: number
  readonly column: number
}

/** A fault of the YAML itself. */
export interface YamlFault extends DocumentPlace {
  readonly message: string
  /** Whether the rest of the file can still be read. */
  readonly readable: boolean
}

/** A parsed file that knows where things stand. */
export class ConfigDocument {
  readonly #text: string
  readonly #document: Document.Parsed
  readonly #lines: LineCounter
  /** Where the text is nested too deep to be read. */
  readonly #deepAt: number | undefined

  constructor(text: string) {
    this.#text = text
    this.#lines = new LineCounter()
    this.#deepAt = deepestAllowed(text)
    this.#document = parseDocument(this.#deepAt === undefined ? text : '', {
      lineCounter: this.#lines,
      prettyErrors: false,
      // Each key is compared with all before it there: repeatedKeys() takes them once.
      uniqueKeys: false,
    })
    keepNumbersOfSettings(this.#document)
  }

  /** What YAML finds wrong, in the order of the file. */
  get faults(): readonly YamlFault[] {
    if (this.#deepAt !== undefined) {
      const message = `this stands in more than ${DEPTH_MAX} others: no cluster file is nested so deep`
      return [{ ...placeIn(this.#text, this.#deepAt), message, readable: false }]
    }
    const { errors } = this.#document
    const alias = errors.length === 0 ? this.#aliasFault() : undefined
    if (alias !== undefined) return [alias]
    const faults = errors.slice(0, FAULTS_MAX).map((error) => ({
      ...this.#place(error.pos[0]),
      message: error.message,
      readable: false,
    }))
    return [...faults, ...repeatedKeys(this.#document).map((at) => this.#repeated(at))]
  }

  #repeated(offset: number): YamlFault {
    const message = `"${this.#wordAt(offset)}" stands here a second time`
    return { ...this.#place(offset), message, readable: true }
  }

  /** Aliases of aliases grow without bound, or lead nowhere: found when they are followed. */
  #aliasFault(): YamlFault | undefined {
    try {
      this.#document.toJS()
      return undefined
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error
      return { line: 1, column: 1, message: error.message, readable: false }
    }
  }

  /** The content as plain values. */
  get value(): unknown {
    return this.#document.toJS()
  }

  /** Whether something stands at `path`; a key without a value counts. */
  has(path: ConfigPath): boolean {
    return this.#document.hasIn(path)
  }

  /** The plain value at `path`; undefined when nothing stands there. */
  valueAt(path: ConfigPath): unknown {
    const node = this.#node(path)
    return isNode(node) ? node.toJS(this.#document) : undefined
  }

  /** Where the value of `path` stands; where it is missing, the nearest key above that is there. */
  placeOf(path: ConfigPath): DocumentPlace {
    const range = this.#node(path)?.range
    if (range) return this.#place(range[0])
    return path.length === 0 ? { line: 1, column: 1 } : this.placeOfKey(path.slice(0, -1))
  }

  /** Where the key of `path` stands; for an item of a list, where the item stands. */
  placeOfKey(path: ConfigPath): DocumentPlace {
    const parent = path.length === 0 ? undefined : this.#node(path.slice(0, -1))
    const range = isMap(parent) ? keyNode(parent, path.at(-1))?.range : undefined
    return range ? this.#place(range[0]) : this.placeOf(path)
  }

  #node(path: ConfigPath): Node | undefined {
    const node: unknown =
      path.length === 0 ? this.#document.contents : this.#document.getIn(path, true)
    return isNode(node) ? node : undefined
  }

  #wordAt(offset: number): string {
    return /[^\s:"']+/.exec(this.#text.slice(offset))?.[0] ?? ''
  }

  #place(offset: number): DocumentPlace {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
}

function keyNode(map: YAMLMap, key: string | number | undefined): Node | undefined {
  const pair = map.items.find(
    (item) => isScalar(item.key) && String(item.key.value) === String(key),
  )
  return isNode(pair?.key) ? pair.key : undefined
}

/**
 * Reading goes down with each bracket, and with each key, dash or question mark that stands in the
 * one before it (`a: b: c:`), and takes memory for each: nothing in a cluster file stands in more
 * than a few.
 */
function deepestAllowed(text: string): number | undefined {
  let brackets = 0
  let signs = 0
  for (const { 0: sign, index } of text.matchAll(/[[\]{},\n]|[:?-](?=\s)/g)) {
    if (':?-'.includes(sign)) signs += 1
    // Outside of brackets a comma or a closing one is text, and the line goes on.
    else if (sign === '\n' || brackets > 0 || '[{'.includes(sign)) signs = 0
    if ('[{'.includes(sign)) brackets += 1
    else if (']}'.includes(sign)) brackets = Math.max(0, brackets - 1)
    if (brackets > DEPTH_MAX || signs > DEPTH_MAX) return index
  }
  return undefined
}

function placeIn(text: string, offset: number): DocumentPlace {
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** Where keys stand that their map has already; the hundred first. */
function repeatedKeys(document: Document.Parsed): readonly number[] {
  const offsets: number[] = []
  visit(document, {
    Map(_key, map) {
      const seen = new Set<unknown>()
      for (const { key } of map.items) {
        if (!isScalar(key)) continue
        if (seen.has(key.value) && offsets.length < REPEATED_MAX) offsets.push(key.range?.[0] ?? 0)
        seen.add(key.value)
      }
    },
  })
  return offsets.sort((a, b) => a - b)
}

/** A number among settings keeps its spelling: YAML would make `0700` 700 and `1.10` 1.1. */
function keepNumbersOfSettings(document: Document.Parsed): void {
  visit(document, {
    Pair(_key, pair) {
      if (!isScalar(pair.key) || pair.key.value !== 'parameters' || !isMap(pair.value)) return
      for (const { value } of pair.value.items) {
        if (isScalar(value) && typeof value.value === 'number' && value.source !== undefined) {
          value.value = value.source
        }
      }
    },
  })
}
