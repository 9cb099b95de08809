/**
 * A backup's label: what may be one. Labels that older versions stored may be anything.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { isPrintableWord, printableWord } from '../errors/printable.ts'
import { parseBackupId } from './backup-info.ts'

const LENGTH_MAX = 200

/** Words that mean a backup by themselves. */
const TAKEN = new Set(['latest', 'oldest', 'auto'])

/** @throws {BackstayError} USAGE when `label` cannot name a backup. */
export function checkLabel(label: string): void {
  const fault = faultOf(label)
  if (fault === undefined) return
  throw new BackstayError('USAGE', `Cannot use "${printableWord(label)}" as a label: ${fault}`)
}

function faultOf(label: string): string | undefined {
  if (label.trim() === '') return 'it is empty'
  if (label.length > LENGTH_MAX) return `it is longer than ${LENGTH_MAX} characters`
  if (!isPrintableWord(label)) return 'it has characters that cannot be printed'
  if (TAKEN.has(label)) return 'the word means a backup by itself'
  if (parseBackupId(label) !== undefined) return 'it looks like the id of a backup'
  return undefined
}
