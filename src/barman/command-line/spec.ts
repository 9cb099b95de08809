/**
 * Barman's commands as data.
 */
import type { BarmanAction } from '../context.ts'
import type { WordKind } from './word-kinds.ts'

/** One option: commander's flags (`-t, --test`, `--peek <SIZE>`) and a sentence for --help. */
export interface BarmanOptionSpec {
  readonly flags: string
  readonly help: string
  /** The only words it may be given. */
  readonly choices?: readonly string[]
  /** What its word may be; without it any text. */
  readonly kind?: WordKind
  /** May be given several times. */
  readonly isList?: true
}

/** A command by Barman's name, and the module that carries it out, loaded when it is asked for. */
export interface BarmanCommandSpec {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly help: string
  /** In commander's words: `<server_name>`, `[last_wal]`, `<server_name...>`. */
  readonly arguments?: readonly string[]
  readonly options?: readonly BarmanOptionSpec[]
  /** Heeds a signal by itself and ends in order; the others end at once. */
  readonly stopsInOrder?: true
  /** For programs: not in --help. */
  readonly isHidden?: true
  readonly load: () => Promise<{ readonly run: BarmanAction }>
}
