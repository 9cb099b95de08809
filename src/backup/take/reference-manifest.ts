/**
 * A backup_manifest of the reference backup, made for UPLOAD_MANIFEST (17+): the server wants to
 * know which files there were and from which WAL position on it has to look for changes. Source:
 * PostgreSQL documentation, "Backup Manifest Format"; src/common/parse_manifest.c.
 */
import { createHash } from 'node:crypto'
import { formatLsn } from '../../postgres/lsn.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { bytesOfPath } from '../../util/byte-path.ts'
import type { ManifestReader } from '../../repository/manifest-reader.ts'

/** Pieces of about this size are handed out. */
const PIECE_BYTES = 64 * 1024

/** The manifest's text in pieces. */
export async function* referenceManifest(
  info: BackupInfo,
  manifest: ManifestReader,
): AsyncIterable<Buffer> {
  const hash = createHash('sha256')
  for await (const text of piecesOf(body(info, manifest))) {
    const piece = Buffer.from(text)
    hash.update(piece)
    yield piece
  }
  yield Buffer.from(`"Manifest-Checksum": "${hash.digest('hex')}"}\n`)
}

async function* body(info: BackupInfo, manifest: ManifestReader): AsyncIterable<string> {
  yield `{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": ${info.postgres.systemIdentifier},\n"Files": [`
  let separator = '\n'
  for await (const entry of manifest.entries()) {
    if (entry.kind !== 'file') continue
    const modified = new Date(entry.modifiedAtMs).toISOString().slice(0, 19).replace('T', ' ')
    yield `${separator}{ ${pathField(entry.path)}, "Size": ${entry.sizeBytes}, "Last-Modified": "${modified} GMT" }`
    separator = ',\n'
  }
  const range = `"Start-LSN": "${formatLsn(info.startLsn)}", "End-LSN": "${formatLsn(info.stopLsn)}"`
  yield `\n],\n"WAL-Ranges": [\n{ "Timeline": ${info.timeline}, ${range} }\n],\n`
}

/** A name that is not UTF-8 is given in hex, as the server does. */
function pathField(path: string): string {
  if (path.isWellFormed()) return `"Path": ${JSON.stringify(path)}`
  return `"Encoded-Path": "${bytesOfPath(path).toString('hex')}"`
}

async function* piecesOf(texts: AsyncIterable<string>): AsyncIterable<string> {
  let piece = ''
  for await (const text of texts) {
    piece += text
    if (piece.length < PIECE_BYTES) continue
    yield piece
    piece = ''
  }
  yield piece
}
