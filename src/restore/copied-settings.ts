/**
 * Settings of the origin that lead a copy of it outside its own directory, where the origin may
 * still be at work.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { settingsOf } from '../postgres/conf-file.ts'

/** Paths that two servers must not share; relative ones lie in each data directory. */
const SHARED_PATHS = [
  'data_directory',
  'external_pid_file',
  'hba_file',
  'ident_file',
  'log_directory',
]

/**
 * What is wrong with starting a copy with the origin's configuration, as sentences without full
 * stop.
 */
export function warnAboutSettings(files: ReadonlyMap<string, string>, directory: string): string[] {
  const conf = files.get('postgresql.conf')
  if (conf === undefined) {
    return [
      'The backup holds no postgresql.conf: the origin keeps it outside its data directory; copy it, or start with one of your own',
    ]
  }
  const settings = new Map([...settingsIn(conf), ...settingsIn(files.get('postgresql.auto.conf'))])
  return SHARED_PATHS.flatMap((name) => {
    const value = settings.get(name) ?? ''
    if (!value.startsWith('/') || `${value}/`.startsWith(`${directory}/`)) return []
    return [
      `Its configuration sets ${name} to "${value}", outside the directory: the origin may use it too`,
    ]
  })
}

function settingsIn(text: string | undefined): ReadonlyMap<string, string> {
  try {
    return settingsOf(text ?? '')
  } catch (error) {
    // What PostgreSQL refuses is for PostgreSQL to say; nothing can be warned of here.
    if (isBackstayError(error)) return new Map()
    throw error
  }
}
