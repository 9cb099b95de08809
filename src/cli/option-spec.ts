/**
 * Options and arguments of commands as data, and the types of the values they become.
 */

interface CommonOption {
  /** One sentence for --help, without full stop. */
  readonly help: string
  readonly short?: string
  readonly hidden?: true
}

interface ValueOption extends CommonOption {
  /** The placeholder in --help. `FILE` and `DIR` are completed as paths. */
  readonly value: string
  readonly required?: true
}

/** An option without a value. */
export interface FlagOption extends CommonOption {
  readonly type: 'flag'
}

/** An option whose value stays text. */
export interface StringOption extends ValueOption {
  readonly type: 'string'
  readonly default?: string
}

/** A number: a whole one, a size in bytes (`64MiB`) or a duration in milliseconds (`15m`). */
export interface NumberOption extends ValueOption {
  readonly type: 'int' | 'size' | 'duration'
  readonly default?: number
  /** Smallest and largest value allowed, in the unit of the value. */
  readonly min?: number
  readonly max?: number
}

/** One of several words. */
export interface ChoiceOption extends ValueOption {
  readonly type: 'choice'
  readonly choices: readonly string[]
  readonly default?: string
}

/** Given any number of times, or once with commas; the values stay text. */
export interface ListOption extends ValueOption {
  readonly type: 'list'
}

/** An option as data; its name is its key in camelCase (`targetTime` is `--target-time`). */
export type OptionSpec = FlagOption | StringOption | NumberOption | ChoiceOption | ListOption

/** The options of a command by name. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** A word that follows the command. */
export interface ArgumentSpec {
  readonly name: string
  readonly help: string
  /** Left out: the command must be given it. */
  readonly optional?: true
  /** The only words it may be. */
  readonly choices?: readonly string[]
  /** Takes all words that follow, at least one unless optional; only the last argument can. */
  readonly rest?: true
}

type OptionValue<S extends OptionSpec> = S extends FlagOption
  ? boolean
  : S extends NumberOption
    ? number
    : S extends ChoiceOption
      ? S['choices'][number]
      : S extends ListOption
        ? readonly string[]
        : string

type AlwaysThere =
  | { readonly type: 'flag' | 'list' }
  | { readonly required: true }
  | { readonly default: string | number }

/**
 * What the options of a command are once parsed: flags are false and lists empty when not given.
 */
export type OptionValues<O extends OptionSpecs> = {
  readonly [K in keyof O]: O[K] extends AlwaysThere
    ? OptionValue<O[K]>
    : OptionValue<O[K]> | undefined
}

type ArgumentValue<S extends ArgumentSpec> = S extends { readonly rest: true }
  ? readonly string[]
  : ArgumentWord<S> | (S extends { readonly optional: true } ? undefined : never)

type ArgumentWord<S extends ArgumentSpec> = S extends { readonly choices: readonly string[] }
  ? S['choices'][number]
  : string

/** What the arguments of a command are once parsed, by name. */
export type ArgumentValues<A extends readonly ArgumentSpec[]> = {
  readonly [S in A[number] as S['name']]: ArgumentValue<S>
}

/** The option as it is typed: `targetTime` → `--target-time`. */
export function optionFlag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
