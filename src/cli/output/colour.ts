/**
 * The few colours of the output, and whether to use them.
 */
import { styleText } from 'node:util'
import type { Environment } from '../../util/environment.ts'

/** Colours text, or leaves it. */
export interface Colour {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly dim: (text: string) => string
}

/** Colours when `enabled`; otherwise every function returns its text. */
export function makeColour(enabled: boolean): Colour {
  const style =
    (format: 'green' | 'red' | 'yellow' | 'dim') =>
    (text: string): string =>
      enabled ? styleText(format, text, { validateStream: false }) : text
  return { good: style('green'), bad: style('red'), warn: style('yellow'), dim: style('dim') }
}

/**
 * Whether output to `stream` is coloured: a terminal that can, and nobody who said no
 * (https://no-color.org).
 */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  environment: Environment,
  noColor: boolean,
): boolean {
  const refused =
    noColor || (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb'
  return stream.isTTY === true && !refused
}
