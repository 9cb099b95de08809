/**
 * Reads a value as Python writes it with repr(): text, numbers, lists, tuples, dictionaries, True,
 * False, None. Barman's metadata holds such values. Source: Python documentation, "Lexical
 * analysis", "Expressions".
 */

/** A value; tuples are lists. */
export type PythonValue =
  | string
  | number
  | boolean
  | null
  | readonly PythonValue[]
  | { readonly [key: string]: PythonValue }

/** Deeper is no metadata. */
const DEEPEST = 20

/** The letter says how many digits follow: its case counts. */
const CODE = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/
const HIGHEST_CODE_POINT = 0x10ffff

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  "'": "'",
  '"': '"',
}

const WORDS: Readonly<Record<string, boolean | null>> = { True: true, False: false, None: null }

/** The value; undefined when the text is none. */
export function parsePythonLiteral(text: string): PythonValue | undefined {
  const reader = new LiteralReader(text)
  try {
    return reader.whole()
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

class LiteralReader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): PythonValue {
    const value = this.#value()
    this.#space()
    if (this.#at < this.#text.length) throw this.#wrong()
    return value
  }

  #value(): PythonValue {
    this.#space()
    const next = this.#text[this.#at] ?? ''
    if (next === '[') return this.#list(']')
    if (next === '(') return this.#list(')')
    if (next === '{') return this.#dictionary()
    if (next === "'" || next === '"') return this.#string(next)
    return this.#word()
  }

  #list(close: string): PythonValue[] {
    const values: PythonValue[] = []
    this.#enter()
    while (!this.#closes(close)) {
      values.push(this.#value())
      this.#separator(close)
    }
    return values
  }

  #dictionary(): Record<string, PythonValue> {
    const values: [string, PythonValue][] = []
    this.#enter()
    while (!this.#closes('}')) {
      const key = this.#value()
      if (typeof key !== 'string') throw this.#wrong()
      this.#space()
      if (this.#text[this.#at] !== ':') throw this.#wrong()
      this.#at += 1
      values.push([key, this.#value()])
      this.#separator('}')
    }
    return Object.fromEntries(values)
  }

  #enter(): void {
    this.#at += 1
    this.#depth += 1
    if (this.#depth > DEEPEST) throw this.#wrong()
  }

  #closes(close: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== close) return false
    this.#at += 1
    this.#depth -= 1
    return true
  }

  #separator(close: string): void {
    this.#space()
    if (this.#text[this.#at] === ',') this.#at += 1
    else if (this.#text[this.#at] !== close) throw this.#wrong()
  }

  #string(quote: string): string {
    let value = ''
    for (this.#at += 1; this.#text[this.#at] !== quote;) {
      const character = this.#text[this.#at]
      if (character === undefined) throw this.#wrong()
      this.#at += 1
      value += character === '\\' ? this.#escape() : character
    }
    this.#at += 1
    return value
  }

  #escape(): string {
    const rest = this.#text.slice(this.#at)
    const code = CODE.exec(rest)
    if (code !== null) {
      this.#at += code[0].length
      const point = Number.parseInt(code[1] ?? code[2] ?? code[3] ?? '', 16)
      if (point > HIGHEST_CODE_POINT) throw this.#wrong()
      return String.fromCodePoint(point)
    }
    const next = rest[0] ?? ''
    const plain = Object.hasOwn(ESCAPES, next) ? ESCAPES[next] : undefined
    if (plain === undefined) throw this.#wrong()
    this.#at += 1
    return plain
  }

  #word(): PythonValue {
    const [word = ''] = /^[A-Za-z0-9_.+-]+/.exec(this.#text.slice(this.#at)) ?? []
    this.#at += word.length
    const named = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined
    if (named !== undefined) return named
    const value = Number(word)
    if (word === '' || Number.isNaN(value)) throw this.#wrong()
    return value
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1
  }

  #wrong(): SyntaxError {
    return new SyntaxError(`at ${this.#at}`)
  }
}
