/** Something that reads what others wrote: it returns, or throws a BackstayError that is no BUG, soon and with little memory. */
export interface Target {
  readonly name: string
  /** Right inputs to start from. */
  readonly seeds: readonly Buffer[]
  /** Words of its grammar. */
  readonly words: readonly string[]
  /** Reads one input. May answer later. */
  read(input: Buffer): unknown
}
