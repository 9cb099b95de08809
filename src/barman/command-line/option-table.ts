/**
 * What the options of Barman's commands are once they are read, by commander's name of each.
 * Options that are only accepted are not among them; which command takes which is in its
 * definition.
 */

/**
 * `flag`: true or, where there is a `--no-` form, false · `text`: its word · `number`: read and
 * bounded (word-kinds.ts) · `list`: all its words.
 */
export type OptionType = 'flag' | 'text' | 'number' | 'list'

/** The options that a command reads, with the type of each. */
export const OPTION_TYPES = {
  archive: 'flag',
  archiveTimeout: 'number',
  awsRegion: 'text',
  azureResourceGroup: 'text',
  bwlimit: 'number',
  bzip2: 'flag',
  checkTimeout: 'number',
  createSlot: 'flag',
  deltaRestore: 'flag',
  dropSlot: 'flag',
  exclusive: 'flag',
  force: 'flag',
  gcpZone: 'text',
  getWal: 'flag',
  gzip: 'flag',
  ifNotExists: 'flag',
  immediateCheckpoint: 'flag',
  incremental: 'text',
  jobs: 'number',
  keepCompression: 'flag',
  keepDescriptors: 'flag',
  minimal: 'flag',
  nagios: 'flag',
  name: 'text',
  outputDirectory: 'text',
  partial: 'flag',
  peek: 'number',
  primary: 'flag',
  recoveryConfFilename: 'text',
  recoveryOptionPort: 'number',
  release: 'flag',
  remoteSshCommand: 'text',
  reset: 'flag',
  snapshotRecoveryInstance: 'text',
  source: 'text',
  stagingWalDirectory: 'text',
  standbyMode: 'flag',
  status: 'flag',
  stop: 'flag',
  tablespace: 'list',
  target: 'text',
  targetAction: 'text',
  targetImmediate: 'flag',
  targetLsn: 'text',
  targetName: 'text',
  targetTime: 'text',
  targetTli: 'text',
  targetXid: 'text',
  test: 'flag',
  timeline: 'number',
  waitTimeout: 'number',
  x: 'flag',
} as const satisfies Readonly<Record<string, OptionType>>

interface OptionValueTypes {
  readonly flag: boolean
  readonly text: string
  readonly number: number
  readonly list: readonly string[]
}

/** The options that were given. */
export type BarmanOptionValues = {
  readonly [Key in keyof typeof OPTION_TYPES]?: OptionValueTypes[(typeof OPTION_TYPES)[Key]]
}
