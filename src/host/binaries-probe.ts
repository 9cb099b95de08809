/**
 * Looks on a host for directories with PostgreSQL programs: one shell command for all places, so
 * that ssh costs one round trip. Says what is there; binaries.ts chooses.
 */
import { posix } from 'node:path'
import { isPrintableWord } from '../errors/printable.ts'
import type { Host } from './host.ts'
import { runChecked } from './run-checked.ts'

/** Where programs came from, in the order in which they are preferred. */
export const BINARY_SOURCES = [
  'configured',
  'debian',
  'redhat',
  'path',
  'local',
  'embedded',
] as const

/** `local` is PostgreSQL's own default prefix, /usr/local/pgsql. */
export type BinarySource = (typeof BINARY_SOURCES)[number]

/** Programs that PostgreSQL cannot be run without. */
export const REQUIRED_PROGRAMS = ['initdb', 'pg_ctl', 'postgres'] as const

/** Programs that make some things possible or better; embedded packages have none of them. */
export const TOOLS = {
  pgArchivecleanup: 'pg_archivecleanup',
  pgAmcheck: 'pg_amcheck',
  pgBasebackup: 'pg_basebackup',
  pgChecksums: 'pg_checksums',
  pgCombinebackup: 'pg_combinebackup',
  pgControldata: 'pg_controldata',
  pgDump: 'pg_dump',
  pgIsready: 'pg_isready',
  pgReceivewal: 'pg_receivewal',
  pgRewind: 'pg_rewind',
  pgVerifybackup: 'pg_verifybackup',
  pgWaldump: 'pg_waldump',
  psql: 'psql',
} as const

/** A tool by the name it has in `PostgresBinaries.tools`. */
export type ToolName = keyof typeof TOOLS

/** A directory that holds a program called postgres. */
export interface FoundBinaries {
  readonly source: BinarySource
  readonly directory: string
  /** For example `18.4`; undefined when `postgres --version` did not work. */
  readonly version: string | undefined
  readonly major: number | undefined
  /** Programs of REQUIRED_PROGRAMS and TOOLS that can be executed. */
  readonly programs: ReadonlySet<string>
  /** What `postgres --version` said instead of a version. */
  readonly problem: string | undefined
}

/** A directory to look into. */
export interface BinaryPlace {
  readonly source: BinarySource
  readonly directory: string
}

const PROGRAMS = [...REQUIRED_PROGRAMS, ...Object.values(TOOLS)].join(' ')

/**
 * Prints five NUL-ended fields for each directory: source, directory, exit code, output, programs.
 */
const SCRIPT = `
probe() {
  [ -e "$2/postgres" ] || return 0
  at=$2
  real=$(readlink -f "$2/postgres")
  case "$seen" in *":$real:"*) return 0;; esac
  seen="$seen:$real:"
  # A link in PATH leads to the directory where the other programs are, too.
  [ "$1" = path ] && at=\${real%/postgres}
  text=$("$at/postgres" --version 2>&1); code=$?
  have=
  for program in ${PROGRAMS}; do [ -x "$at/$program" ] && have="$have $program"; done
  printf '%s\\0%s\\0%s\\0%s\\0%s\\0' "$1" "$at" "$code" "$text" "$have"
}
seen=
usual=$1; shift
if [ "$usual" = yes ]; then
  for directory in /usr/lib/postgresql/*/bin; do probe debian "$directory"; done
  for directory in /usr/pgsql-*/bin; do probe redhat "$directory"; done
  probe path "$(pg_config --bindir 2>/dev/null)"
  old=$IFS; IFS=:
  for directory in $PATH; do probe path "$directory"; done
  IFS=$old
  probe local /usr/local/pgsql/bin
fi
while [ $# -gt 1 ]; do probe "$1" "$2"; shift 2; done
`

/**
 * Looks as OS user `user` into `places`, and before them into the usual ones when `usual`. In the
 * order of preference; a directory that can be reached by two ways comes once. What was printed is
 * that user's own word: a record of a directory that was not looked into is left out, and of the
 * rest nothing may be done but by him.
 */
export async function probeBinaries(
  host: Host,
  places: readonly BinaryPlace[],
  options: { readonly user: string; readonly usual: boolean },
): Promise<readonly FoundBinaries[]> {
  const pairs = places.flatMap(({ source, directory }) => [source, directory])
  const { stdout } = await runChecked(
    host,
    ['sh', '-c', SCRIPT, 'sh', options.usual ? 'yes' : 'no', ...pairs],
    { user: options.user },
  )
  return parseProbe(stdout).filter((found) => isBelieved(found, places, options.usual))
}

/** Directories of the usual places, as far as their names are known before. */
const USUAL: Readonly<Partial<Record<BinarySource, RegExp>>> = {
  debian: /^\/usr\/lib\/postgresql\/[^/]+\/bin$/,
  redhat: /^\/usr\/pgsql-[^/]+\/bin$/,
  path: /^\//,
  local: /^\/usr\/local\/pgsql\/bin$/,
}

/** The directory ends in units and in messages: in a name that is plain nothing can be hidden. */
function isBelieved(
  { source, directory }: FoundBinaries,
  places: readonly BinaryPlace[],
  usual: boolean,
): boolean {
  if (places.some((place) => place.source === source && place.directory === directory)) return true
  if (!usual || USUAL[source]?.test(directory) !== true) return false
  return isPrintableWord(directory) && posix.normalize(directory) === directory
}

/** Reads what the probe printed. */
export function parseProbe(output: string): readonly FoundBinaries[] {
  const fields = output.split('\0').slice(0, -1)
  return Array.from({ length: Math.floor(fields.length / 5) }, (_, index) => {
    const [source = '', directory = '', code, text = '', have = ''] = fields.slice(index * 5)
    const version = code === '0' ? versionIn(text) : undefined
    return {
      source: source as BinarySource,
      directory,
      version,
      major: version === undefined ? undefined : Number.parseInt(version, 10),
      programs: new Set(have.trim().split(' ')),
      problem: version === undefined ? (text.trim().split('\n').at(-1) ?? '') : undefined,
    }
  })
}

/**
 * `postgres (PostgreSQL) 15.18 (Debian 15.18-1)` → `15.18`; `18beta2` and `19devel` stay as they
 * are.
 */
function versionIn(text: string): string | undefined {
  return /^postgres \([^)]*\) (\d+(?:\.\d+)*(?:beta\d+|rc\d+|devel)?)/.exec(text)?.[1]
}
