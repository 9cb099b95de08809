/**
 * How WAL names a relation's files: by numbers, where the file system has paths. Source: PostgreSQL
 * src/include/storage/relfilelocator.h, src/include/common/relpath.h.
 */
import type { RelationFile } from './relation-path.ts'

/** The files of one relation, by the numbers they are named after. */
export interface RelFileLocator {
  /** 1663 pg_default, 1664 pg_global. */
  readonly tablespaceOid: number
  /** 0 for shared relations. */
  readonly databaseOid: number
  readonly fileNumber: number
}

/** A relation's forks by the numbers that WAL has for them. */
export const FORK_NUMBERS = { main: 0, fsm: 1, vm: 2, init: 3 } as const

/** Bytes of a locator in a record. */
export const LOCATOR_BYTES = 12

const DEFAULT_TABLESPACE = 1663
const GLOBAL_TABLESPACE = 1664

/** A locator as records hold it: tablespace, database, file number. */
export function locatorAt(data: DataView, at: number): RelFileLocator {
  return {
    tablespaceOid: data.getUint32(at, true),
    databaseOid: data.getUint32(at + 4, true),
    fileNumber: data.getUint32(at + 8, true),
  }
}

/** What WAL calls the relation of a file in a data directory. */
export function locatorOf(file: RelationFile): RelFileLocator {
  const { fileNumber, databaseOid = 0 } = file
  const own = databaseOid === 0 ? GLOBAL_TABLESPACE : DEFAULT_TABLESPACE
  return { tablespaceOid: file.tablespaceOid ?? own, databaseOid, fileNumber }
}
