/**
 * Problems of a cluster file: where, at which key, what. All of them are collected and reported
 * together.
 */
import type { z } from 'zod'
import { BackstayError } from '../errors/backstay-error.ts'
import { nearest } from '../util/nearest.ts'
import type { ConfigDocument, ConfigPath, DocumentPlace } from './document.ts'
import { clusterJsonSchema, schemaAt } from './json-schema.ts'

/** One thing that is wrong. */
export interface ConfigFinding {
  readonly path: ConfigPath
  /** What follows the key in the sentence: `must be true or false`. */
  readonly text: string
  /** Whether the key itself is wrong; otherwise its value is. */
  readonly atKey?: boolean
}

/** A finding with its place, as it is printed and as `details.problems` holds it. */
export interface ConfigProblem extends DocumentPlace {
  readonly path: string
  readonly text: string
}

/** So many are looked into: the places of thousands take minutes, and nobody reads them. */
const SHOWN_MAX = 100

/** A complaint of the schema. */
export type SchemaIssue = z.core.$ZodIssue

/** What zod complains about, in the words of the cluster file. */
export function findingsOfSchema(
  issues: readonly SchemaIssue[],
  document: ConfigDocument,
): ConfigFinding[] {
  return issues.slice(0, SHOWN_MAX).flatMap((issue) => {
    const path = issue.path.filter((key) => typeof key !== 'symbol')
    if (issue.code !== 'unrecognized_keys') return [{ path, text: textOf(issue, document) }]
    return issue.keys.slice(0, SHOWN_MAX).map((key) => unknownKey(path, key))
  })
}

function unknownKey(parent: ConfigPath, key: string): ConfigFinding {
  const known = Object.keys(schemaAt(clusterJsonSchema(), parent)?.properties ?? {})
  const near = nearest(key, known)
  const question = near === undefined ? '' : `: did you mean "${near}"?`
  return { path: [...parent, key], text: `is no key of the cluster file${question}`, atKey: true }
}

function textOf(issue: SchemaIssue, document: ConfigDocument): string {
  const path = issue.path.filter((key) => typeof key !== 'symbol')
  if (!document.has(path)) return 'is missing'
  const found = document.valueAt(path) ?? null
  if (path.length === 0) {
    return found === null
      ? 'the file is empty'
      : `the file must be a map of keys: found ${describe(found)}`
  }
  if (found === null) return 'has no value: give it one or take the key out'
  if (issue.code === 'custom') return issue.message
  const rule = issue.message.startsWith('must ') ? issue.message : typeRule(issue)
  return `${rule}: found ${describe(found)}`
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'text',
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
}

function typeRule(issue: SchemaIssue): string {
  return issue.code === 'invalid_type'
    ? `must be ${EXPECTED[issue.expected] ?? issue.expected}`
    : issue.message
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  return typeof value === 'string' ? `text "${value}"` : JSON.stringify(value)
}

/** Gives findings their places. */
export function locate(
  findings: readonly ConfigFinding[],
  document: ConfigDocument,
): ConfigProblem[] {
  return findings.slice(0, SHOWN_MAX).map(({ path, text, atKey }) => ({
    ...(atKey === true ? document.placeOfKey(path) : document.placeOf(path)),
    path: path.join('.'),
    text,
  }))
}

/** The error that reports all problems of `file` at once, in the order of the file. */
export function configInvalid(file: string, found: readonly ConfigProblem[]): BackstayError {
  const problems = [...found].sort((a, b) => a.line - b.line || a.column - b.column)
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  const lines = problems.map(({ line, column, path, text }) =>
    ['\n ', `${file}:${line}:${column}`, path, text].filter((word) => word !== '').join(' '),
  )
  return new BackstayError('CONFIG_INVALID', `Cannot use "${file}": ${count}${lines.join('')}`, {
    details: { file, problems },
  })
}
