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
