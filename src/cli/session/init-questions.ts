/**
 * What `backstay init` wants to know: the questions, what an answer may be, and what the answers
 * make.
 */
import type { NewCluster, ServerAddress } from '../../config/template.ts'
import { NAME_PATTERN, NAME_RULE } from '../../config/values.ts'
import { isSupportedMajor, type PostgresMajor } from '../../postgres/version.ts'

/** What was answered, as typed; an empty answer is none. */
export interface InitAnswers {
  readonly cluster: string
  readonly postgres: string
  readonly primary: string
  /** With commas between them. */
  readonly standby: string
  readonly backupHost: string
  readonly repository: string
  readonly directory: string
}

/** One question. Its key is the option that answers it as well. */
export interface InitQuestion {
  readonly key: keyof InitAnswers
  readonly text: string
  /** Taken when nothing is answered; undefined where an answer is needed. */
  readonly standard: string | undefined
  /** What is wrong with an answer after the answers so far; undefined when nothing is. */
  readonly fault: (answer: string, answers: Partial<InitAnswers>) => string | undefined
  /** Whether the question makes sense after the answers so far. */
  readonly isWanted?: (answers: Partial<InitAnswers>) => boolean
}

const DEFAULT_PORT = 5432

/** The questions in the order they are asked. */
export const INIT_QUESTIONS: readonly InitQuestion[] = [
  {
    key: 'cluster',
    text: 'Name of the cluster',
    standard: 'main',
    fault: (answer) => (NAME_PATTERN.test(answer) ? undefined : `a name ${NAME_RULE}`),
  },
  {
    key: 'postgres',
    text: 'Major version of PostgreSQL',
    standard: '18',
    fault: (answer) =>
      /^\d{2}$/.test(answer) && isSupportedMajor(Number(answer))
        ? undefined
        : 'versions 11 to 18 are supported',
  },
  {
    key: 'primary',
    text: 'Machine of the primary (name or address, with :port where it is not 5432)',
    standard: undefined,
    fault: faultOfAddress,
  },
  {
    key: 'standby',
    text: 'Machines of the standbys, with commas',
    standard: '',
    fault: faultOfStandbys,
  },
  {
    key: 'backupHost',
    text: 'Machine of the backup server; empty for none',
    standard: '',
    fault: (answer) => (/\s/.test(answer) ? 'an address has no spaces' : undefined),
  },
  {
    key: 'repository',
    text: 'Directory of the repository there',
    standard: '/var/lib/backstay',
    fault: faultOfDirectory,
    isWanted: (answers) => (answers.backupHost ?? '') !== '',
  },
  {
    key: 'directory',
    text: "Data directory; empty for Debian's place",
    standard: '',
    fault: faultOfDirectory,
  },
]

/** What the answers make. They must be without fault. */
export function newClusterOf(answers: InitAnswers, schemaPath: string): NewCluster {
  return {
    cluster: answers.cluster,
    version: Number(answers.postgres) as PostgresMajor,
    primary: readAddress(answers.primary),
    standbys: splitWords(answers.standby).map(readAddress),
    backupHost: answers.backupHost || undefined,
    repository: answers.repository || undefined,
    directory: answers.directory || undefined,
    schemaPath,
  }
}

function splitWords(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

/** `db1`, `db1:5433`, `192.168.0.1`, `[::1]:5433`, `::1` */
function readAddress(text: string): ServerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text)
  if (match === null) return { host: text }
  const host = match[1] ?? match[2] ?? text
  return match[3] === undefined ? { host } : { host, port: Number(match[3]) }
}

/**
 * The same machine twice would be one server with two names: the file would be refused, and all
 * answers with it.
 */
function faultOfStandbys(text: string, { primary = '' }: Partial<InitAnswers>): string | undefined {
  const words = splitWords(text)
  const fault = words.map(faultOfAddress).find(Boolean)
  if (fault !== undefined) return fault
  const seen = new Set<string>(primary === '' ? [] : [placeOf(primary)])
  const twice = words.find((word) => seen.has(placeOf(word)) || !seen.add(placeOf(word)))
  return twice === undefined ? undefined : `"${twice}" is named twice`
}

function placeOf(text: string): string {
  const { host, port = DEFAULT_PORT } = readAddress(text)
  return `${host.toLowerCase()} ${port}`
}

function faultOfAddress(text: string): string | undefined {
  if (text === '') return 'an address is needed'
  if (/[\s/]/.test(text)) return `"${text}" is no name or address`
  const { port } = readAddress(text)
  return port !== undefined && (port < 1 || port > 65535) ? `${port} is no port` : undefined
}

function faultOfDirectory(text: string): string | undefined {
  return text === '' || text.startsWith('/') ? undefined : `"${text}" must start with "/"`
}
