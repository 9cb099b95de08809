/**
 * Whether what a backup.json says has the shape of a backup. Its checksum is no signature: whoever
 * may write the repository can seal another one, and its numbers and names become paths, often in
 * the hands of root.
 */

const OID_MAX = 2 ** 32 - 1

type ShapeCheck = (value: unknown) => boolean

const isText: ShapeCheck = (value) => typeof value === 'string'
const isCount: ShapeCheck = (value) => Number.isSafeInteger(value) && Number(value) >= 0
const isOid: ShapeCheck = (value) => isCount(value) && Number(value) > 0 && Number(value) <= OID_MAX
/** As it is written, or as it is read. */
const isPosition: ShapeCheck = (value) => isText(value) || typeof value === 'bigint'
const isTime: ShapeCheck = (value) => isText(value) && Number.isFinite(Date.parse(String(value)))

function orNull(check: ShapeCheck): ShapeCheck {
  return (value) => value === null || check(value)
}

function orAbsent(check: ShapeCheck): ShapeCheck {
  return (value) => value === undefined || check(value)
}

function isMade(of: Readonly<Record<string, ShapeCheck>>): ShapeCheck {
  return (value) => {
    const parts = Object(value) as Record<string, unknown>
    return Object.entries(of).every(([key, check]) => check(parts[key]))
  }
}

function isList(check: ShapeCheck): ShapeCheck {
  return (value) => Array.isArray(value) && value.every(check)
}

function isWord(pattern: RegExp): ShapeCheck {
  return (value) => typeof value === 'string' && pattern.test(value)
}

const isPageList = isList(isMade({ path: isText, block: isCount }))

/** What is read of every backup. */
const KEYS: Readonly<Record<string, ShapeCheck>> = {
  id: isText,
  cluster: isText,
  label: orNull(isText),
  reference: orNull(isText),
  fullBecause: orNull(isText),
  source: isMade({ role: isText, server: orNull(isText), host: isText, port: isCount }),
  timeline: isOid,
  startLsn: isPosition,
  stopLsn: isPosition,
  startedAt: isTime,
  finishedAt: isTime,
  postgres: isMade({
    systemIdentifier: isText,
    major: isCount,
    versionNumber: isCount,
    segmentBytes: isCount,
  }),
  tablespaces: isList(isMade({ oid: isOid, location: isText })),
  bytes: isMade({ database: isCount, received: isCount, changed: isCount, stored: isCount }),
  files: isCount,
  manifest: isMade({ storedBytes: isCount, sha256: isText }),
  packs: isList(
    isMade({
      name: isWord(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/),
      storedBytes: isCount,
      rawBytes: isCount,
      liveBytes: isCount,
    }),
  ),
  badPages: isMade({ count: isCount, list: isPageList }),
  tornPages: orAbsent(isPageList),
  resumed: orAbsent(isList(isText)),
}

/** The first key whose value is none of a backup; undefined when all are. */
export function strangeKey(value: Readonly<Record<string, unknown>>): string | undefined {
  return Object.entries(KEYS).find(([key, check]) => !check(value[key]))?.[0]
}
