/**
 * Puts values in place of `%(name)s`, and `%` in place of `%%`.
 */
import { BackstayError } from '../../errors/backstay-error.ts'

/** Deeper is a circle. */
const DEEPEST = 10
/**
 * A name has a bound: all that may be references are looked for before the first is judged, and each
 * without an end would be read to the end of the text.
 */
const REFERENCE = /%(%|\(([^)]{1,100})\)s)?/g
/** Of one value: ten levels of ten references each would be ten thousand millions. */
const REFERENCES_MAX = 1000
const LENGTH_MAX = 1024 * 1024

/**
 * The text with its references replaced. `lookup` gives a value as written, or undefined; `place`
 * is for messages and never holds the value, which may be a password.
 * @throws {BackstayError} CONFIG_INVALID for a lone `%`, an unknown name, a circle, or a value that
 * unfolds to more than any is.
 */
export function interpolate(
  text: string,
  lookup: (name: string) => string | undefined,
  place: string,
): string {
  return replace(text, { lookup, place, depth: 0, spent: { references: 0, characters: 0 } })
}

interface Interpolation {
  readonly lookup: (name: string) => string | undefined
  readonly place: string
  readonly depth: number
  /** Shared by all that belongs to one value. */
  readonly spent: { references: number; characters: number }
}

function replace(text: string, around: Interpolation): string {
  if (around.depth > DEEPEST) throw problem(around.place, 'its references go round in a circle')
  return text.replace(REFERENCE, (_match, what: string | undefined, name: string) => {
    if (what === '%') return '%'
    if (what === undefined) {
      throw problem(around.place, 'a "%" stands alone; write "%%" for one percent sign')
    }
    const value = around.lookup(name.toLowerCase())
    if (value === undefined) throw problem(around.place, `nothing is called "${name}"`)
    spend(value, around)
    return replace(value, { ...around, depth: around.depth + 1 })
  })
}

function spend(value: string, { spent, place }: Interpolation): void {
  spent.references += 1
  spent.characters += value.length
  if (spent.references <= REFERENCES_MAX && spent.characters <= LENGTH_MAX) return
  throw problem(place, 'its references unfold to more than any value is')
}

function problem(place: string, why: string): BackstayError {
  return new BackstayError('CONFIG_INVALID', `Cannot read ${place}: ${why}`)
}
