/**
 * The cluster file as YAML with the place of every key: so that a problem can be reported as line and column, and
 * `config explain` can say where a value stands.
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

/** Keys and list positions from the top of the file. */
export type ConfigPath = readonly (string | number)[]

/** A place in the file; both count from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A fault of the YAML itself. */
export interface YamlFault extends Place {
  readonly message: string
  /** Whether the rest of the file can still be read. */
  readonly readable: boolean
}

/** A parsed file that knows where things stand. */
export class ConfigDocument {
  readonly #text: string
  readonly #document: Document.Parsed
  readonly #lines: LineCounter

  constructor(text: string) {
    this.#text = text
    this.#lines = new LineCounter()
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false })
    keepNumbersOfSettings(this.#document)
  }

  /** What YAML finds wrong, in the order of the file. */
  get faults(): readonly YamlFault[] {
    return this.#document.errors.map((error) => ({
      ...this.#place(error.pos[0]),
      message:
        error.code === 'DUPLICATE_KEY'
          ? `"${this.#wordAt(error.pos[0])}" stands here a second time`
          : error.message,
      readable: error.code === 'DUPLICATE_KEY',
    }))
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
  placeOf(path: ConfigPath): Place {
    const range = this.#node(path)?.range
    if (range) return this.#place(range[0])
    return path.length === 0 ? { line: 1, column: 1 } : this.placeOfKey(path.slice(0, -1))
  }

  /** Where the key of `path` stands; for an item of a list, where the item stands. */
  placeOfKey(path: ConfigPath): Place {
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

  #place(offset: number): Place {
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
