/**
 * `pg_checksums --enable`, which the embedded packages lack: a checksum into every page of a stopped cluster, and the fact into pg_control.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'
import { CONTROL_FILE_PATH, parseControlFile } from '../../../src/postgres/control-file.ts'
import { allocatePageMemory, PageChecker } from '../../../src/postgres/page-checker.ts'
import { isNewPage, readPageHeader } from '../../../src/postgres/page.ts'
import { firstBlockOfPath } from '../../../src/postgres/relation-path.ts'

const PAGE = 8192
const CHECKSUM_OFFSET = 8

/** `directory`: the data directory of a server that was stopped cleanly. */
export function enableChecksums(directory: string): void {
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const firstBlock = firstBlockOfPath(path)
    if (firstBlock !== undefined) sealPages(join(directory, path), firstBlock)
  }
  enableInControlFile(join(directory, CONTROL_FILE_PATH))
}

function sealPages(file: string, firstBlock: number): void {
  const content = readFileSync(file)
  const checker = new PageChecker(allocatePageMemory(PAGE))
  for (let at = 0; at < content.length; at += PAGE) {
    if (isNewPage(readPageHeader(content, at))) continue
    checker.bytes.set(content.subarray(at, at + PAGE))
    content.writeUInt16LE(checker.checksum(0, firstBlock + at / PAGE), at + CHECKSUM_OFFSET)
  }
  writeFileSync(file, content)
}

/** Finds the field by trying: where the layout of this major has it is known to the parser only. */
function enableInControlFile(file: string): void {
  const content = readFileSync(file)
  const crcAt = range(content.length / 4).find(
    (at) => at > 100 && crc32c(content.subarray(0, at)) === content.readUInt32LE(at),
  )
  for (const at of range((crcAt ?? 0) / 4).reverse()) {
    const changed = Buffer.from(content)
    changed.writeUInt32LE(1, at)
    changed.writeUInt32LE(crc32c(changed.subarray(0, crcAt)), crcAt)
    if (!isEnabled(changed)) continue
    writeFileSync(file, changed)
    return
  }
  throw new Error('pg_control has no field for checksums')
}

function isEnabled(content: Buffer): boolean {
  try {
    return parseControlFile(content).dataChecksumVersion === 1
  } catch {
    return false
  }
}

function range(words: number): number[] {
  return Array.from({ length: Math.floor(words) }, (_, n) => n * 4)
}
