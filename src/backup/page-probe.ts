/**
 * A second look at pages whose checksum was wrong in the stream: a page that the server was just writing can arrive torn, and
 * is no damage then. Needs a role that may call pg_read_binary_file; without one the first look stands.
 */
import { allocatePageMemory, PageChecker } from '../postgres/page-checker.ts'
import { readPageHeader } from '../postgres/page.ts'
import { firstBlockOfPath } from '../postgres/relation-path.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { BadPage } from '../repository/backup-info.ts'
import { PAGE_BYTES } from '../repository/format.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import { SqlClient } from '../wire/sql-client.ts'

/** SQLSTATEs that say the role may not, or the file is gone. */
const CANNOT_SAY = ['42501', '58P01', '42883']

/** Reads one page as it is on the server's disk now; undefined when that cannot be had. */
export type PageProbe = (page: BadPage) => Promise<Buffer | undefined>

/** Whether a page was only torn: it is right now, and was changed after the backup began, so WAL writes it anew. */
export async function wasTorn(probe: PageProbe, page: BadPage, startLsn: Lsn): Promise<boolean> {
  const content = await probe(page)
  if (content?.length !== PAGE_BYTES) return false
  const memory = allocatePageMemory(PAGE_BYTES)
  const checker = new PageChecker(memory)
  checker.bytes.set(content)
  const block = (firstBlockOfPath(page.path) ?? 0) + page.block
  const isRight = checker.findBadPages({ offset: 0, pageCount: 1 }, block).length === 0
  return isRight && readPageHeader(content).lsn >= startLsn
}

/** A probe over SQL. Dispose it. */
export async function openPageProbe(
  options: ConnectionOptions,
): Promise<{ probe: PageProbe } & AsyncDisposable> {
  const sql = await SqlClient.connect(options)
  return {
    probe: (page) => readPage(sql, page),
    [Symbol.asyncDispose]: () => sql[Symbol.asyncDispose](),
  }
}

async function readPage(sql: SqlClient, page: BadPage): Promise<Buffer | undefined> {
  try {
    const { content } = await sql.one<{ content: Buffer | null }>(
      'SELECT pg_read_binary_file($1, $2, $3, true) AS content',
      [page.path, page.block * PAGE_BYTES, PAGE_BYTES],
    )
    return content ?? undefined
  } catch (error) {
    const details = error instanceof Error && 'details' in error ? error.details : undefined
    const sqlstate = (details as { sqlstate?: string } | undefined)?.sqlstate ?? ''
    if (CANNOT_SAY.includes(sqlstate)) return undefined
    throw error
  }
}
