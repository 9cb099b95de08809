/**
 * What a command line is once it is read.
 */

/** Options before the command. */
export interface GlobalOptions {
  readonly config: string | undefined
  readonly color: string | undefined
  readonly logLevel: string | undefined
  readonly quiet: boolean
  readonly debug: boolean
  readonly format: 'console' | 'json'
}

/** The values of a command's options by commander's camelCase names; those of a kind of number are numbers. */
export type BarmanOptionValues = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>

/** The number an option was given; undefined when it was not given. */
export function numberOf(options: BarmanOptionValues, key: string): number | undefined {
  const value = options[key]
  return typeof value === 'number' ? value : undefined
}
