/**
 * From the text of a cluster file to settings, or to the error that names every problem in it.
 */
import type { ClusterWanted } from '../cluster/wanted.ts'
import { SUPPORTED_MAJORS } from '../postgres/version.ts'
import { findingsOf, nameFindings } from './checks.ts'
import { ConfigDocument } from './document.ts'
import {
  configInvalid,
  type ConfigFinding,
  findingsOfSchema,
  locate,
  type ConfigProblem,
  type SchemaIssue,
} from './problems.ts'
import { ClusterFile } from './schema.ts'
import { type ClusterSettings, completeSettings, type Surroundings } from './settings.ts'
import { toWanted } from './wanted.ts'

/** Where a text comes from and what its defaults depend on. */
export interface ConfigSource extends Surroundings {
  /** The file as messages name it. */
  readonly file: string
}

/** A cluster file without problems. */
export interface ReadCluster {
  readonly wanted: ClusterWanted
  readonly settings: ClusterSettings
  readonly document: ConfigDocument
}

/**
 * Reads the text of a cluster file.
 * @throws CONFIG_INVALID with every problem in `details.problems`
 */
export function readCluster(text: string, source: ConfigSource): ReadCluster {
  const document = new ConfigDocument(text)
  const faults = document.faults.map(({ line, column, message }): ConfigProblem => {
    return { line, column, path: '', text: message }
  })
  if (document.faults.some((fault) => !fault.readable)) throw configInvalid(source.file, faults)
  const { settings, findings } = judge(document, source)
  const problems = [...faults, ...locate(findings, document)]
  if (settings === undefined || problems.length > 0) throw configInvalid(source.file, problems)
  return { wanted: toWanted(settings), settings, document }
}

interface FileJudgement {
  /** Undefined when the schema refuses the file. */
  readonly settings: ClusterSettings | undefined
  readonly findings: readonly ConfigFinding[]
}

function judge(document: ConfigDocument, source: ConfigSource): FileJudgement {
  const value = document.value
  const names = nameFindings(Object.keys(asMap(asMap(value)['servers'])))
  const parsed = ClusterFile.safeParse(value)
  if (parsed.success) {
    const settings = completeSettings(parsed.data, source)
    return { settings, findings: [...names, ...findingsOf(settings)] }
  }
  const { issues } = parsed.error
  const ofSchema = findingsOfSchema(issues, document)
  const findings = [...names, ...ofSchema, ...findingsOfRest(value, issues, source)]
  return { settings: undefined, findings }
}

/**
 * What else is wrong in a file the schema refuses: the faulty parts are taken out and the rest is
 * judged, so that the operator need not correct the file twice. Findings that could come from the
 * taking out are left out.
 */
function findingsOfRest(
  value: unknown,
  issues: readonly SchemaIssue[],
  source: ConfigSource,
): ConfigFinding[] {
  const rest = asMap(structuredClone(value))
  const isWhole = issues.map((issue) => takeOut(rest, issue)).every(Boolean)
  const postgres = { version: SUPPORTED_MAJORS.at(-1), ...asMap(rest['postgres']) }
  const parsed = ClusterFile.safeParse({ cluster: 'unknown', ...rest, postgres })
  if (!parsed.success) return []
  const findings = findingsOf(completeSettings(parsed.data, source))
  return isWhole ? findings : findings.filter(({ path }) => path.length > 2 && path[0] !== 'backup')
}

/** Takes what an issue is about out of `value`. Returns false when a whole server went with it. */
function takeOut(value: unknown, issue: SchemaIssue): boolean {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) remove(value, [...path, key])
    return true
  }
  const isInServer = path[0] === 'servers' && path[2] !== 'parameters'
  const length = isInServer ? 2 : path[0] === 'backup' ? 1 : path.length
  remove(value, path.slice(0, length))
  return !isInServer
}

function remove(value: unknown, path: readonly string[]): void {
  const parent = path.slice(0, -1).reduce((here: unknown, key) => asMap(here)[key], value)
  delete asMap(parent)[path.at(-1) ?? '']
}

function asMap(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
