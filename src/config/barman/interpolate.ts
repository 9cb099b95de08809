/**
 * Puts values in place of `%(name)s`, and `%` in place of `%%`.
 */
import { BackstayError } from '../../errors/backstay-error.ts'

/** Deeper is a circle. */
const DEEPEST = 10

/**
 * The text with its references replaced. `lookup` gives a value as written, or undefined; `place`
 * is for messages and never holds the value, which may be a password.
 * @throws {BackstayError} CONFIG_INVALID for a lone `%`, an unknown name or a circle.
 */
export function interpolate(
  text: string,
  lookup: (name: string) => string | undefined,
  place: string,
): string {
  return replace(text, { lookup, place, depth: 0 })
}

interface Interpolation {
  readonly lookup: (name: string) => string | undefined
  readonly place: string
  readonly depth: number
}

function replace(text: string, around: Interpolation): string {
  if (around.depth > DEEPEST) throw problem(around.place, 'its references go round in a circle')
  return text.replace(/%(%|\(([^)]+)\)s)?/g, (_match, what: string | undefined, name: string) => {
    if (what === '%') return '%'
    if (what === undefined) {
      throw problem(around.place, 'a "%" stands alone; write "%%" for one percent sign')
    }
    const value = around.lookup(name.toLowerCase())
    if (value === undefined) throw problem(around.place, `nothing is called "${name}"`)
    return replace(value, { ...around, depth: around.depth + 1 })
  })
}

function problem(place: string, why: string): BackstayError {
  return new BackstayError('CONFIG_INVALID', `Cannot read ${place}: ${why}`)
}
