/**
 * Words as a POSIX shell reads them back unchanged, whatever they contain.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { bytesOfPath } from '../util/byte-path.ts'

const SHOWN_CHARACTERS = 300

/**
 * Quotes one word: nothing in it can end the quotes or be expanded.
 * @throws FAILED for a NUL byte, which no argument can hold.
 */
export function shellQuote(word: string): string {
  if (word.includes('\0')) {
    throw new BackstayError('FAILED', 'Cannot run a command: an argument has a NUL byte in it')
  }
  return quoteForMessage(word)
}

/** A command as one line of shell that runs exactly its words. @throws like `shellQuote`. */
export function shellCommand(command: readonly string[]): string {
  return command.map(shellQuote).join(' ')
}

/**
 * A script that evaluates `text`, as letters, digits, blanks, backslashes and a fixed frame of
 * double quotes: byte by byte the same whoever passes it on. The shell's own printf turns the octal
 * numbers back, without another program.
 */
export function scriptInOctal(text: string): string {
  return `eval "$(printf "${Array.from(bytesOfPath(text), octalByte).join('')}")"`
}

/** A byte as the format of printf(1) has it. */
function octalByte(byte: number): string {
  const character = String.fromCodePoint(byte)
  return /[A-Za-z0-9 ]/.test(character) ? character : `\\${byte.toString(8).padStart(3, '0')}`
}

/** A command as messages show it: quoted, on one line, long ones cut. Not for running. */
export function showCommand(command: readonly string[]): string {
  const line = command.map(quoteForMessage).join(' ').replaceAll(/\s+/g, ' ')
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line
}

function quoteForMessage(word: string): string {
  // `=` stays bare only in options: `A=b` as the first word would be an assignment.
  if (/^(-[A-Za-z0-9_./:=@%+,-]*|[A-Za-z0-9_./:@%+,-]+)$/.test(word)) return word
  return `'${word.replaceAll("'", "'\\''")}'`
}
