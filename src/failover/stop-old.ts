/**
 * Stops the old primary, marks it and reads where its WAL ends, all in one command on its host:
 * until the next primary is there nobody can write, and over ssh every command costs a tenth of a
 * second or more.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { stopServerAnd } from '../host/postgres-control.ts'
import { parseControlFile } from '../postgres/control-file.ts'
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { Step } from '../build/plan/step.ts'
import { instanceOf } from '../build/steps/act-context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { judgeShutdown, PAGES_READ } from './shutdown-record.ts'

const STOP_TIMEOUT_MS = 10 * 60_000
const WAL_BLOCK_BYTES = 8192

/**
 * What is known once it has stopped; whatever is undefined or false has to be done again, step by
 * step.
 */
export interface StoppedOld {
  readonly endLsn: Lsn | undefined
  readonly isMarked: boolean
}

/**
 * Arguments: data directory, bytes of a WAL page and of a segment, pages to read, then path and
 * content of each mark. Prints `marked`, pg_control and the pages with its last checkpoint. Where
 * that is: ControlFileData in catalog/pg_control.h.
 */
const MARK_AND_READ = `
directory=$1 block=$2 segment=$3 pages=$4; shift 4
while [ $# -gt 0 ]; do
  new=$(mktemp -- "$1.XXXXXXXX") && printf '%s' "$2" >"$new" && sync -- "$new" && mv -fT -- "$new" "$1" && sync -- "\${1%/*}" || { rm -f -- "$new"; exit 1; }
  shift 2
done
echo marked
cd -- "$directory" || exit
base64 -w 0 global/pg_control && echo
lsn=$(od -A n -t u8 -j 32 -N 8 global/pg_control | tr -d ' ')
timeline=$(od -A n -t u4 -j 48 -N 4 global/pg_control | tr -d ' ')
number=$((lsn / segment)) each=$((4294967296 / segment))
name=$(printf '%08X%08X%08X' "$timeline" $((number / each)) $((number % each)))
dd if="pg_wal/$name" bs="$block" skip=$((lsn % segment / block)) count="$pages" 2>/dev/null | base64 -w 0
`

/**
 * Stops it. `marks` are written when all of them lie in the data directory, so that its OS user
 * may.
 * @throws TIMEOUT when it does not stop; nothing for what can be done again.
 */
export async function stopOldPrimary(
  context: ClusterContext,
  server: ServerWanted,
  marks: readonly Step[],
): Promise<StoppedOld> {
  const instance = await instanceOf(context, server)
  const { segmentBytes } = context.wanted.postgres
  const files = marks.flatMap((step) => fileOf(server, step) ?? [])
  const isWhole = files.length === marks.length
  const numbers = [WAL_BLOCK_BYTES, segmentBytes, PAGES_READ].map(String)
  const words = [server.directory, ...numbers, ...(isWhole ? files.flat() : [])]
  const wait = { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal }
  const command = ['sh', '-c', MARK_AND_READ, 'sh', ...words]
  const result = await stopServerAnd(instance, wait, command)
  const [marked, control = '', pages = ''] = (result?.stdout ?? '').split('\n')
  const endLsn = endOf(context, server, { control, pages })
  return { endLsn, isMarked: isWhole && marked === 'marked' }
}

/** Path and content of a file in the data directory. */
function fileOf(
  server: ServerWanted,
  step: Step,
): readonly [readonly [path: string, content: string]] | undefined {
  if (step.action !== 'file' && step.action !== 'signal-file') return undefined
  if (!step.path.startsWith(`${server.directory}/`)) return undefined
  return [[step.path, step.action === 'file' ? step.content : '']]
}

/** Undefined for what is not there, or proves nothing: the close look afterwards says why. */
function endOf(
  { wanted }: ClusterContext,
  server: ServerWanted,
  text: { readonly control: string; readonly pages: string },
): Lsn | undefined {
  try {
    const control = parseControlFile(Buffer.from(text.control, 'base64'))
    if (control.walBlockBytes !== WAL_BLOCK_BYTES) return undefined
    const bytes = Buffer.from(text.pages, 'base64')
    const { lsn } = control.checkpoint
    const startLsn = toLsn(lsn - (lsn % BigInt(WAL_BLOCK_BYTES)))
    return judgeShutdown(server, { control, bytes, startLsn, major: wanted.postgres.version })
      .endLsn
  } catch (error) {
    if (!isBackstayError(error)) throw error
    return undefined
  }
}
